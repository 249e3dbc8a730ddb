import { dirname, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { isObject } from '../../../kernel/json.ts'
import { readTextFile } from '../read-input.ts'
import type { Section } from './findings.ts'
import { textOf, wrong } from './values.ts'

const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/

/** Variables of one file or several, paths from the folder of the section's file. */
export async function readEnvFiles(value: unknown, section: Section, key: string): Promise<Record<string, string>> {
  if (value === undefined || value === null) return {}
  const files = (Array.isArray(value) ? value : [value]).map((file: unknown) => textOf(file, section.place(key)))
  const read = await Promise.all(files.map(async (file) => parseEnv(await readTextFile(resolve(dirname(section.file), file), '/'))))
  return Object.assign({}, ...read)
}

/** An object of variables, or a list of `NAME=VALUE`. */
export function environmentOf(value: unknown, section: Section, key: string): Record<string, string> {
  if (value === undefined || value === null) return {}
  const pairs: [string, unknown][] = Array.isArray(value)
    ? value.map((one: unknown) => {
        const [, name = '', text = ''] = /^([^=]+)=([\s\S]*)$/.exec(String(one)) ?? []
        if (name === '') throw wrong(section.place(key), one, 'of the form NAME=VALUE')
        return [name, text]
      })
    : isObject(value)
      ? Object.entries(value)
      : []
  if (!Array.isArray(value) && !isObject(value)) throw wrong(section.place(key), value, 'an object or a list of NAME=VALUE')
  return Object.fromEntries(
    pairs.flatMap(([name, one]) => {
      if (one === null || one === undefined) return []
      if (variableName.test(name)) return [[name, isObject(one) || Array.isArray(one) ? JSON.stringify(one) : String(one)]]
      section.remark(`${key}.${name}`, 'is not imported: Regent takes names of letters, digits and _ only')
      return []
    }),
  )
}
