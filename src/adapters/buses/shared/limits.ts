import { RegentError } from '../../../kernel/errors.ts'
import { MOST_BODY } from '../../../ports/bus.ts'

/** The most bytes of all that goes with a body: id, key, headers and the like. */
export const MOST_ENVELOPE = 64 * 1024

/** Throws TOO_LARGE for a body of so many bytes. */
export function checkBodyBytes(bytes: number): void {
  if (bytes > MOST_BODY) throw new RegentError('TOO_LARGE', `a message holds at most ${MOST_BODY} bytes, this one has ${bytes}`)
}

/** Throws TOO_LARGE for headers of so many bytes. */
export function checkEnvelopeBytes(bytes: number): void {
  if (bytes > MOST_ENVELOPE)
    throw new RegentError('TOO_LARGE', `a message's headers hold at most ${MOST_ENVELOPE} bytes, these have ${bytes}`)
}
