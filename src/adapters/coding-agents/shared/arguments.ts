import { RegentError } from '../../../kernel/errors.ts'
import type { Turn } from '../../../ports/coding-agents.ts'

/** Linux takes at most 128 KiB in one argument of a program; some room is left for what is put around a text. */
const ONE_BYTES = 120 * 1024
/** And for all of them, with the environment, a quarter of the stack: 2 MiB where nobody changed it. */
const ALL_BYTES = 1024 * 1024

/** Fields of a worker that only some CLIs understand, as callers name them. */
const optional = {
  model: (turn: Turn) => turn.model !== null,
  allowed_tools: (turn: Turn) => turn.allowedTools !== null,
  disallowed_tools: (turn: Turn) => turn.disallowedTools !== null,
  permission_mode: (turn: Turn) => turn.permissionMode !== null,
  append_system_prompt: (turn: Turn) => turn.appendSystemPrompt !== null,
  permissions: (turn: Turn) => turn.permissions !== null,
  command: (turn: Turn) => turn.command !== null,
} as const satisfies Record<string, (turn: Turn) => boolean>
export type OptionalField = keyof typeof optional

export interface Understood {
  readonly title: string
  readonly fields: readonly OptionalField[]
}

/** Refuses fields that this CLI has nothing for: dropped silently, a worker would do what it was told not to. */
export function refuseOthers(turn: Turn, { title, fields }: Understood): void {
  for (const [field, given] of Object.entries(optional))
    if (given(turn) && !fields.includes(field as OptionalField))
      throw invalid(field, `${title} has no such setting`, `Leave \`${field}\` out, or give the CLI's own words in \`args\`.`)
}

/** Refuses what the system would not start, naming the field that is too long. */
export function fitting(turn: Turn, argv: readonly string[]): readonly string[] {
  const remedy = 'Write it into a file of the working directory, and name that file in the prompt.'
  if (bytes(turn.prompt) > ONE_BYTES)
    throw invalid('prompt', `is longer than the ${ONE_BYTES / 1024} KiB that a program can be given`, remedy)
  if (bytes(turn.appendSystemPrompt ?? '') > ONE_BYTES)
    throw invalid('append_system_prompt', `is longer than the ${ONE_BYTES / 1024} KiB that a program can be given`, 'Shorten it.')
  const field = turn.command === null ? 'args' : 'command'
  if (argv.some((word) => bytes(word) > ONE_BYTES + 4096)) throw invalid(field, 'holds an argument that is too long', 'Shorten it.')
  if (argv.reduce((sum, word) => sum + bytes(word) + 9, 0) > ALL_BYTES)
    throw invalid(field, 'and all else that its CLI is given are longer together than 1 MiB', 'Shorten them.')
  return argv
}

/** Refuses words of a list that a CLI would take for options. */
export function words(field: OptionalField, list: readonly string[] | null): readonly string[] {
  const wrong = list?.find((word) => word.startsWith('-'))
  if (wrong !== undefined) throw invalid(field, `"${wrong.slice(0, 80)}" begins with a dash`, 'Give options in `args`.')
  return list ?? []
}

/** A value of an option: one that begins with a dash is joined to its long name, where a CLI would take it for another option. */
export function option(name: string, value: string | null, long: string = name): readonly string[] {
  if (value === null) return []
  return value.startsWith('-') ? [`${long}=${value}`] : [name, value]
}

const bytes = (text: string): number => Buffer.byteLength(text)

export function invalid(field: string, problem: string, hint: string): RegentError {
  return new RegentError('INVALID', `${field}: ${problem}`, { hint, fields: [{ path: field, message: problem }] })
}
