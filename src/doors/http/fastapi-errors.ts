import type { FastifyReply, FastifyRequest } from 'fastify'
import { RegentError } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { maskSecrets } from '../shared/without-secrets.ts'
import { answerable } from './errors.ts'
import { jsonFault } from './json-body.ts'
import { errorHeaders } from './problem.ts'

/** One complaint about an input, in the words of FastAPI and pydantic. */
export interface Complaint {
  readonly type: string
  /** Where: `["body", "subagents", 0, "name"]`. */
  readonly loc: readonly (string | number)[]
  readonly msg: string
  readonly input: unknown
  readonly ctx?: Readonly<Record<string, unknown>>
}

/** Larger inputs are not sent back, nor are more complaints. */
const LARGEST_ECHO = 4096
const MOST_COMPLAINTS = 50

const complain =
  (type: string, msg: string) =>
  (loc: Complaint['loc'], input: unknown): Complaint => ({ type, loc, msg, input })

export const complaints = {
  missing: complain('missing', 'Field required'),
  notText: complain('string_type', 'Input should be a valid string'),
  notList: complain('list_type', 'Input should be a valid list'),
  notObject: complain('dict_type', 'Input should be a valid dictionary'),
  notModel: complain('model_attributes_type', 'Input should be a valid dictionary or object to extract fields from'),
  forbidden: complain('extra_forbidden', 'Extra inputs are not permitted'),
  mismatch: (loc: Complaint['loc'], input: unknown, pattern: string): Complaint => ({
    type: 'string_pattern_mismatch',
    loc,
    msg: `String should match pattern '${pattern}'`,
    input,
    ctx: { pattern },
  }),
}

/** What a dialect's handler throws when it finds complaints; the handler below answers it with 422. */
export function refuse(found: readonly Complaint[]): RegentError {
  return new RegentError('INVALID', found[0]?.msg ?? 'invalid', { details: { complaints: found.slice(0, MOST_COMPLAINTS) } })
}

/** Answers as FastAPI does: `{"detail": text}`, or 422 with a list of complaints. */
export function fastapiHandler(logger: Logger) {
  return (error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
    const told = answerable(error, request, logger)
    const found = complaintsOf(told)
    const text = told.hint === undefined ? told.message : `${told.message}; ${told.hint}`
    reply
      .code(found ? 422 : told.status)
      .headers(errorHeaders(told))
      .send({ detail: found?.map(withoutSecretInput) ?? text })
  }
}

function complaintsOf(error: RegentError): readonly Complaint[] | undefined {
  const position = jsonFault(error)
  if (position !== undefined) {
    const ctx = { error: error.message }
    return [{ type: 'json_invalid', loc: ['body', position], msg: 'JSON decode error', input: {}, ctx }]
  }
  if (error.code !== 'INVALID') return undefined
  if (Array.isArray(error.details.complaints)) return error.details.complaints as readonly Complaint[]
  const fields = error.fields.length > 0 ? error.fields : [{ path: '', message: error.message }]
  return fields
    .slice(0, MOST_COMPLAINTS)
    .map(({ path, message }) => ({ type: 'value_error', loc: ['body', ...locOf(path)], msg: message, input: null }))
}

/** `agent.subagents.0.name`, as the core has it, within the body of this dialect. */
function locOf(path: string): (string | number)[] {
  const parts = path.split('.').filter(Boolean)
  return (parts[0] === 'agent' ? parts.slice(1) : parts).map((part) => (/^\d{1,9}$/.test(part) ? Number(part) : part))
}

function withoutSecretInput(complaint: Complaint): Complaint {
  const secret = complaint.loc.some((part) => typeof part === 'string' && /key|token|secret|password/i.test(part))
  const masked = secret ? '***' : maskSecrets(complaint.input)
  return { ...complaint, input: (JSON.stringify(masked) ?? '').length > LARGEST_ECHO ? null : masked }
}
