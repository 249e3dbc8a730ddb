import { type ErrorCode, errorTable, type FieldError, RegentError } from '../kernel/errors.ts'
import { isObject, tryParse } from '../kernel/json.ts'

/** The RegentError that a problem+json answer (RFC 9457) stands for; a made-up one where a proxy answered in its stead. */
export function errorOf(status: number, body: string, retryAfter?: string): RegentError {
  const problem = tryParse(body)
  if (!isObject(problem) || typeof problem.code !== 'string') return strangeAnswer(status, body)
  const { hint, details } = problem
  const seconds = Number(retryAfter ?? problem.retry_after)
  return new RegentError(codeOf(problem.code, status), String(problem.detail ?? problem.title ?? `answered ${status}`), {
    ...(typeof hint === 'string' ? { hint } : {}),
    ...(Number.isFinite(seconds) ? { retryAfter: seconds } : {}),
    ...(isObject(details) ? { details } : {}),
    fields: fieldsOf(problem.fields ?? problem.errors),
  })
}

function codeOf(code: string, status: number): ErrorCode {
  if (Object.hasOwn(errorTable, code)) return code as ErrorCode
  const same = Object.entries(errorTable).find(([, entry]) => entry.status === status)?.[0]
  return (same as ErrorCode | undefined) ?? (status < 500 ? 'BAD_REQUEST' : 'INTERNAL')
}

function fieldsOf(value: unknown): FieldError[] {
  if (!Array.isArray(value)) return []
  return value.filter(isObject).map(({ path, message }) => ({ path: String(path ?? ''), message: String(message ?? '') }))
}

function strangeAnswer(status: number, body: string): RegentError {
  const start = body.replaceAll(/\s+/g, ' ').slice(0, 200)
  return new RegentError(codeOf('', status), `answered ${status}${start === '' ? '' : `: ${start}`}`, {
    hint: 'this does not look like an answer of Regent; check the address',
  })
}
