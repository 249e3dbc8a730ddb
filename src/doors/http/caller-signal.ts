import type { FastifyReply } from 'fastify'
import { RegentError } from '../../kernel/errors.ts'

/** Aborted when the caller goes away before he has his answer; never by an answer's ordinary end, which costs an exception each. */
export function callerSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort()
  })
  return gone.signal
}

/** Runs work that may wait long. When the server's grace ends first, the caller is told that his request stands. */
export async function untilClosing<T>(gone: AbortSignal, closing: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await work(AbortSignal.any([gone, closing]))
  } catch (error) {
    if (!closing.aborted) throw error
    throw new RegentError('UNAVAILABLE', 'Regent is closing: the request stands, its outcome was not seen', { retryAfter: 2, cause: error })
  }
}
