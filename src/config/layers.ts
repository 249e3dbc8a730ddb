import { join, resolve } from 'node:path'
import { type FieldError, RegentError } from '../kernel/errors.ts'
import { nearest } from '../kernel/nearest.ts'
import { type Setting, settings } from './schema.ts'
import { CONFIG_FILE, type ConfigSource, DOTENV_FILE, type Env, type Flags } from './source.ts'
import { readToml } from './toml.ts'
import { readIfThere, substitute } from './variables.ts'

/** One value as it was written, and where. */
export interface Written {
  readonly value: unknown
  readonly origin: string
}

export interface Layers {
  /** By path, the winning layer: flags, then the environment, then .env (only what is marked so), then regent.toml. */
  readonly written: ReadonlyMap<string, Written>
  readonly problems: FieldError[]
  readonly warnings: string[]
}

export function readLayers(source: ConfigSource, project: string, dotenv: Env): Layers {
  const problems: FieldError[] = []
  const written = new Map<string, Written>([
    ...readFile(project, { ...dotenv, ...source.env }, problems),
    ...readVariables(dotenv, source.cwd, (setting) => setting.dotenv === true, DOTENV_FILE),
    ...readVariables(source.env, source.cwd, () => true),
    ...readFlags(source.flags, source.cwd),
  ])
  return { written, problems, warnings: [...unreadInDotenv(dotenv), ...unknownVariables(source.env)] }
}

function readFile(project: string, variables: Env, problems: FieldError[]): [string, Written][] {
  const text = readIfThere(join(project, CONFIG_FILE))
  if (text === undefined) return []
  return [...readToml(text, CONFIG_FILE)].map(([path, { value, line, column }]) => {
    const where = `${CONFIG_FILE}:${line}:${column}`
    const isFile = settings.some((setting) => setting.path === path && setting.file)
    const fill = (inner: unknown): unknown => {
      if (Array.isArray(inner)) return inner.map(fill)
      if (typeof inner !== 'string') return inner
      try {
        const filled = substitute(inner, variables, where)
        return isFile && filled !== '' ? resolve(project, filled) : filled
      } catch (error) {
        if (!(error instanceof RegentError)) throw error
        problems.push({ path, message: `${error.message} (${error.hint})` })
        return inner
      }
    }
    return [path, { value: fill(value), origin: where }]
  })
}

function readVariables(env: Env, cwd: string, wanted: (setting: Setting) => boolean, label?: string): [string, Written][] {
  return settings.filter(wanted).flatMap((setting): [string, Written][] => {
    const name = setting.env.find((one) => env[one])
    const text = name === undefined ? undefined : env[name]
    if (name === undefined || text === undefined) return []
    return [[setting.path, { value: readText(setting, text, cwd), origin: label === undefined ? name : `${label} (${name})` }]]
  })
}

function readFlags(flags: Flags, cwd: string): [string, Written][] {
  return settings.flatMap((setting): [string, Written][] => {
    const text = setting.flag === undefined ? undefined : flags[setting.flag]
    return text === undefined ? [] : [[setting.path, { value: readText(setting, text, cwd), origin: `--${setting.flag}` }]]
  })
}

/** The text as what the setting holds: text, number, boolean or list; as the likeliest of them where none fits, to be told what is wrong. */
function readText(setting: Setting, text: string, cwd: string): unknown {
  if (setting.file) return resolve(cwd, text)
  const number = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
  const flag = { true: true, yes: true, on: true, '1': true, false: false, no: false, off: false, '0': false }[text.toLowerCase()]
  const list = text.split(/[\s,]+/).filter((part) => part !== '')
  const candidates = [text, number, flag, list].filter((candidate) => candidate !== undefined)
  const likeliest = setting.schema.safeParse([]).success ? list : (number ?? text)
  return candidates.find((candidate) => setting.schema.safeParse(candidate).success) ?? likeliest
}

function unreadInDotenv(dotenv: Env): string[] {
  return Object.keys(dotenv)
    .filter((name) => name.startsWith('REGENT_'))
    .map((name) => `${name} in ${DOTENV_FILE} is not read: put it into ${CONFIG_FILE} or the environment`)
}

/** Read by others than the configuration, or told to agents and their children. */
const otherVariables = /^REGENT_(PROJECT|TOKEN|ADAPTERS|START|RUN_.*|AGENT|AGENT_(ID|STATE|SECRETS))$/

function unknownVariables(env: Env): string[] {
  const known = settings.flatMap((setting) => setting.env)
  return Object.keys(env)
    .filter((name) => name.startsWith('REGENT_') && !known.includes(name) && !otherVariables.test(name))
    .map((name) => {
      const meant = nearest(name, known)
      return `${name} is not a setting of Regent${meant === undefined ? '' : `; did you mean ${meant}?`}`
    })
}
