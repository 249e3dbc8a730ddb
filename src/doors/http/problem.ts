import { type ErrorCode, errorTable, RegentError } from '../../kernel/errors.ts'

/** RFC 9457, as the native API answers every failure. */
export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail: string
  readonly hint: string | null
  readonly errors: readonly { readonly path: string; readonly message: string }[]
  readonly details?: Readonly<Record<string, unknown>>
  readonly request_id: string
}

/** A body of a megabyte may be wrong in as many places as it has commas. */
const MOST_FIELDS = 50

export const PROBLEM_TYPE = 'application/problem+json; charset=utf-8'

export function problemOf(error: RegentError, requestId: string): Problem {
  return {
    type: `urn:regent:error:${error.code}`,
    title: titleOf(error.code),
    status: error.status,
    code: error.code,
    detail: error.message,
    hint: error.hint ?? null,
    errors: error.fields.slice(0, MOST_FIELDS),
    ...(Object.keys(error.details).length > 0 && { details: error.details }),
    request_id: requestId,
  }
}

/** NOT_FOUND → Not found. */
const titleOf = (code: ErrorCode): string => `${code.slice(0, 1)}${code.slice(1).toLowerCase().replaceAll('_', ' ')}`

/** Headers that belong to an error, whatever dialect its body speaks. */
export function errorHeaders(error: RegentError): Record<string, string> {
  const wait = error.retryAfter ?? (error.code === 'TOO_MANY' || error.code === 'UNAVAILABLE' ? 1 : undefined)
  return {
    ...(error.code === 'UNAUTHENTICATED' && { 'www-authenticate': 'Bearer realm="regent"' }),
    ...(wait !== undefined && { 'retry-after': String(Math.max(1, Math.ceil(wait))) }),
  }
}

const framework: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['TOO_LARGE', 'the body is larger than the 1 MiB that are taken'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['UNSUPPORTED_MEDIA', 'a body must be application/json'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['BAD_REQUEST', 'the body is not as long as its Content-Length says'],
  FST_ERR_BAD_URL: ['BAD_REQUEST', 'the path is not a valid URL path'],
  FST_ERR_MAX_PARAM_LENGTH: ['BAD_REQUEST', 'a part of the path is too long'],
}

/** Ours, or the framework's complaint about a request as one of ours; undefined for what nobody expected. */
export function expectedError(error: unknown): RegentError | undefined {
  if (error instanceof RegentError) return error
  if (!(error instanceof Error)) return undefined
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown }
  const known = typeof code === 'string' ? framework[code] : undefined
  if (known) return new RegentError(known[0], known[1], { cause: error })
  const refused = typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
  return refused ? new RegentError(codeOf(statusCode), 'the request was refused', { cause: error }) : undefined
}

function codeOf(status: number): ErrorCode {
  const [code] = Object.entries(errorTable).find(([, row]) => row.status === status) ?? []
  return (code as ErrorCode | undefined) ?? 'BAD_REQUEST'
}
