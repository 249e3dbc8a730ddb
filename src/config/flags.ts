import { parseArgs } from 'node:util'
import { RegentError, systemCode } from '../kernel/errors.ts'
import { nearest } from '../kernel/nearest.ts'
import { settings } from './schema.ts'
import type { Flags } from './source.ts'

/** The options of `regent serve`; throws BAD_REQUEST for what is none. */
export function parseServeFlags(args: readonly string[]): Flags {
  const names = ['project', ...settings.flatMap(({ flag }) => flag ?? [])]
  try {
    const { values } = parseArgs({
      args: [...args],
      options: Object.fromEntries(names.map((name) => [name, { type: 'string' as const }])),
      strict: true,
    })
    return values
  } catch (error) {
    if (!systemCode(error)?.startsWith('ERR_PARSE_ARGS_')) throw error
    throw new RegentError('BAD_REQUEST', problemWith(args, names), { hint: '`regent serve --help` shows the options', cause: error })
  }
}

function problemWith(args: readonly string[], names: readonly string[]): string {
  for (const arg of args) {
    const name = /^--?([^=]*)/.exec(arg)?.[1]
    if (name === undefined || names.includes(name)) continue
    const meant = nearest(name, names)
    return `unknown option '${arg}'${meant === undefined ? '' : `\n(Did you mean --${meant}?)`}`
  }
  const bare = args.find((arg, at) => !arg.startsWith('-') && !args[at - 1]?.startsWith('--'))
  return bare === undefined ? `an option of ${args.join(' ')} lacks its value` : `regent serve takes options only, not '${bare}'`
}
