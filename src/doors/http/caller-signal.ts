import type { FastifyReply } from 'fastify'

/** Aborted when the caller goes away before he has his answer; never by an answer's ordinary end, which costs an exception each. */
export function callerSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort()
  })
  return gone.signal
}
