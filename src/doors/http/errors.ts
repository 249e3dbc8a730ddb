import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { withoutSecrets } from '../shared/without-secrets.ts'
import { errorHeaders, expectedError, PROBLEM_TYPE, problemOf } from './problem.ts'

/** What a failure is answered with; unexpected ones are logged here, once, and told no more than their request id. */
export function answerable(error: unknown, request: FastifyRequest, logger: Logger): RegentError {
  const expected = expectedError(error)
  if (expected) return expected
  if (request.raw.destroyed && isAbort(error)) return new RegentError('UNAVAILABLE', 'the caller went away')
  logger.error(
    { request_id: request.id, method: request.method, route: request.routeOptions.url ?? '', error: describe(error) },
    'a request failed unexpectedly',
  )
  return new RegentError('INTERNAL', 'something went wrong inside Regent', { hint: `its log tells more under request id ${request.id}` })
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError'

function describe(error: unknown): string {
  const text = error instanceof Error ? `${error.stack ?? reasonOf(error)}` : reasonOf(error)
  return withoutSecrets(text)
}

/** The error handler of every route that speaks no dialect of its own. */
export function problemHandler(logger: Logger) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const told = answerable(error, request, logger)
    reply
      .code(told.status)
      .headers(errorHeaders(told))
      .type(PROBLEM_TYPE)
      .send(JSON.stringify(problemOf(told, request.id)))
  }
}

const reasons: Readonly<Record<string, readonly [number, string, ErrorCode, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'TOO_LARGE', 'the headers are larger than 16 KiB'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'TIMED_OUT', 'the request did not arrive in time'],
}

/** Answers what never became a request: broken HTTP, header floods, slow senders. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  const answered = (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent === true
  if (error.code === 'ECONNRESET' || !socket.writable || answered) {
    socket.destroy()
    return
  }
  const [status, title, code, detail] = reasons[error.code ?? ''] ?? [400, 'Bad Request', 'BAD_REQUEST', 'this is not HTTP as it should be']
  const body = JSON.stringify({ ...problemOf(new RegentError(code, detail), ''), title, status })
  const head = `HTTP/1.1 ${status} ${title}\r\nContent-Type: ${PROBLEM_TYPE}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n`
  socket.end(head + body, () => socket.destroy())
}
