import { RegentError } from '../../../kernel/errors.ts'

/** What Redis answered instead of doing it; `prefix` is its first word, such as WRONGTYPE. */
export class Refusal extends Error {
  readonly prefix: string

  constructor(message: string) {
    super(message)
    this.name = 'Refusal'
    this.prefix = message.split(' ', 1)[0] ?? ''
  }
}

const hints: Readonly<Record<string, string>> = {
  OOM: 'Redis is at its maxmemory: give it more, or let subscribers catch up.',
  MISCONF: 'Redis cannot write its snapshot: see its log and its disk.',
  LOADING: 'Redis still loads its data.',
  READONLY: 'This Redis is a replica: name the primary.',
  CLUSTERDOWN: 'A part of the cluster has no node.',
}

const forbidden = ['NOPERM', 'NOAUTH', 'WRONGPASS', 'DENIED']

/** Whether the account or its rights are the trouble, which waiting does not heal. */
export const isForbidden = (error: unknown): boolean => error instanceof Refusal && forbidden.includes(error.prefix)

/** A refusal in Regent's words; `what` names the topic or the work. Other errors as they are. */
export function explain(error: unknown, what: string): unknown {
  if (!(error instanceof Refusal)) return error
  const { prefix, message } = error
  if (isForbidden(error)) return new RegentError('FORBIDDEN', `Redis refuses ${what}: ${message}`, { hint: 'See the account and its ACL.' })
  if (prefix === 'WRONGTYPE')
    return new RegentError('INVALID', `${what}: the key of this name is no stream`, { hint: 'Name another topic, or rename the key.' })
  const hint = hints[prefix]
  return new RegentError('UNAVAILABLE', `Redis refuses ${what}: ${message}`, { ...(hint !== undefined && { hint }), retryAfter: 1 })
}
