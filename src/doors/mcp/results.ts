import { RegentError, reasonOf } from '../../kernel/errors.ts'

export interface ToolAnswer {
  [key: string]: unknown
  content: { type: 'text'; text: string }[]
  structuredContent?: Record<string, unknown>
  isError?: boolean
}

/** A value that is no object: FastMCP's clients give `result` as it is. */
export const valueAnswer = (value: string): ToolAnswer => ({
  content: [{ type: 'text', text: value }],
  structuredContent: { result: value },
})

export const objectAnswer = (value: object): ToolAnswer => ({
  content: [{ type: 'text', text: JSON.stringify(value) }],
  structuredContent: value as Record<string, unknown>,
})

export const errorAnswer = (text: string, structured?: object): ToolAnswer => ({
  content: [{ type: 'text', text }],
  ...(structured && { structuredContent: structured as Record<string, unknown> }),
  isError: true,
})

/** Texts of the worker tools stand alone, since clients look for them; others say what to do. */
const known = /^(Max \d+ active workers\.|.* not in PATH)$/

function failure(error: unknown): ToolAnswer {
  if (!(error instanceof RegentError)) return errorAnswer(reasonOf(error))
  const fields = error.fields.map(({ path, message }) => `${path}: ${message}`).filter((line) => !error.message.includes(line))
  const more = known.test(error.message) ? [] : [...fields, ...(error.hint === undefined ? [] : [error.hint])]
  return errorAnswer([error.message, ...more].join('\n'))
}

/** Has whatever is thrown told as the result of the tool. */
export async function told(work: () => Promise<ToolAnswer>): Promise<ToolAnswer> {
  try {
    return await work()
  } catch (error) {
    return failure(error)
  }
}
