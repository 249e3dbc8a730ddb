import { type FieldError, RegentError } from '../kernel/errors.ts'
import { nearest } from '../kernel/nearest.ts'
import { compile } from './compile.ts'
import type { Config } from './config.ts'
import { readLayers, type Written } from './layers.ts'
import { projectOf } from './locate.ts'
import { checkRules } from './rules.ts'
import { type Setting, settings, writtenConfig } from './schema.ts'
import type { ConfigSource } from './source.ts'
import { readDotenv } from './variables.ts'

/** A setting as it was found; `written` is undefined where nothing was written and there is no default. */
export interface FoundSetting extends Setting {
  readonly written: unknown
  /** `default`, `regent.toml:3`, `.env`, the name of a variable, or a flag. */
  readonly origin: string
}

/** Throws INVALID that tells all that is wrong at once, each with its place. */
export const loadConfig = (source: ConfigSource): Config => inspectConfig(source).config

/** The same, and for people where every value came from. */
export function inspectConfig(source: ConfigSource): { readonly config: Config; readonly settings: readonly FoundSetting[] } {
  const project = projectOf(source.flags, source.env, source.cwd)
  const dotenv = readDotenv(project)
  const { written, problems, warnings } = readLayers(source, project, dotenv)
  const parsed = writtenConfig.safeParse(nest(written))
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => problemOf(issue, written)))
  if (!parsed.success || problems.length > 0) throw invalid(problems)
  const config = compile(parsed.data, project, source.env, dotenv)
  const broken = checkRules(config)
  const errors = broken.filter((rule) => rule.level === 'error')
  if (errors.length > 0) throw invalid(errors)
  const all = [...warnings, ...broken.map((rule) => rule.message)]
  const values = flatten(parsed.data)
  return {
    config: deepFreeze({ ...config, warnings: all }),
    settings: settings.map((setting) => ({
      ...setting,
      written: values.get(setting.path) ?? { home: config.home, database_url: config.databaseUrl }[setting.path],
      origin: written.get(setting.path)?.origin ?? 'default',
    })),
  }
}

type Issue = { readonly path: readonly PropertyKey[]; readonly message: string; readonly code: string; readonly keys?: readonly string[] }

function problemOf(issue: Issue, written: ReadonlyMap<string, Written>): FieldError {
  const path = issue.path.join('.')
  const unknown = issue.keys?.[0]
  if (unknown !== undefined) {
    const full = path === '' ? unknown : `${path}.${unknown}`
    const origin = [...written].find(([key]) => key === full || key.startsWith(`${full}.`))?.[1].origin ?? ''
    const meant = nearest(full, allNames()) ?? settings.find((setting) => setting.path.endsWith(`.${unknown}`))?.path
    return { path: full, message: `${origin}: there is no setting ${full}${meant === undefined ? '' : `; did you mean ${meant}?`}` }
  }
  const setting = settings.find((one) => path === one.path || path.startsWith(`${one.path}.`))
  const origin = written.get(setting?.path ?? path)?.origin ?? path
  return { path, message: `${origin}: ${path}: ${lowerFirst(issue.message)}${setting ? ` (${setting.description})` : ''}` }
}

const allNames = (): string[] => [...new Set(settings.flatMap(({ path }) => [path, path.split('.')[0] ?? path]))]
const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1)

function invalid(problems: readonly FieldError[]): RegentError {
  const [first] = problems
  const lines = problems.map(({ message }) => message)
  return new RegentError(
    'INVALID',
    problems.length === 1 ? (first?.message ?? '') : ['the configuration is wrong:', ...lines].join('\n  '),
    {
      fields: problems.map(({ path, message }) => ({ path, message })),
      hint: '`regent config schema` shows all settings, `regent config check` tries them',
    },
  )
}

function nest(written: ReadonlyMap<string, Written>): object {
  const root: Record<string, unknown> = {}
  for (const [path, { value }] of written) {
    const keys = path.split('.')
    const last = keys.pop() ?? path
    let table = root
    for (const key of keys) {
      if (!Object.hasOwn(table, key)) table[key] = {}
      table = table[key] as Record<string, unknown>
    }
    table[last] = value
  }
  return root
}

function flatten(table: object, prefix = ''): Map<string, unknown> {
  return new Map(
    Object.entries(table).flatMap(([key, value]): [string, unknown][] =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? [...flatten(value, `${prefix}${key}.`)]
        : [[prefix + key, value]],
    ),
  )
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner)
  return Object.freeze(value)
}
