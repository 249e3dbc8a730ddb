import { type ErrorCode, RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Paint } from './output/terminal.ts'

/** Stable, for scripts: 0 ok, and these. */
export const EXIT = { failed: 1, usage: 2, notRunning: 3, notFound: 4, timedOut: 124, interrupted: 130 } as const

const codes: Partial<Record<ErrorCode, number>> = {
  BAD_REQUEST: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  TIMED_OUT: EXIT.timedOut,
}

/** `isStatus`: a command that tells states, for which "no Regent runs" is an answer. */
export function exitCodeOf(error: unknown, isStatus = false): number {
  if (isInterrupt(error)) return EXIT.interrupted
  if (!(error instanceof RegentError)) return EXIT.failed
  if (isStatus && error.details.what === 'server') return EXIT.notRunning
  return codes[error.code] ?? EXIT.failed
}

export const isInterrupt = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'

/** What went wrong and what to do, for stderr. */
export function failureText(error: unknown, paint: Paint): string {
  if (!(error instanceof RegentError)) {
    const place = error instanceof Error ? `\n${error.stack}` : ''
    return `${paint('red', 'regent:')} ${reasonOf(error)}${place}\nThis is a fault in Regent; please report it.`
  }
  const fields = error.fields
    .filter(({ message }) => !error.message.includes(message))
    .slice(0, 20)
    .map(({ path, message }) => `\n  ${path === '' ? '' : `${path}: `}${message}`)
  const hint = error.hint === undefined ? '' : `\n${paint('dim', `hint: ${error.hint}`)}`
  return `${paint('red', 'regent:')} ${error.message}${fields.join('')}${hint}`
}
