import { RegentError } from '../../../kernel/errors.ts'

/** What the library and the broker throw, as words and codes; its errors hold others in `errors` and `cause`. */
type Failure = Error & {
  readonly apiId?: string
  readonly code?: string
  readonly errors?: readonly unknown[]
  readonly serverErrorMessage?: string | null
}

const forGood: Readonly<Record<string, 'FORBIDDEN' | 'INVALID' | 'TOO_LARGE'>> = {
  MESSAGE_TOO_LARGE: 'TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'TOO_LARGE',
  TOPIC_AUTHORIZATION_FAILED: 'FORBIDDEN',
  GROUP_AUTHORIZATION_FAILED: 'FORBIDDEN',
  CLUSTER_AUTHORIZATION_FAILED: 'FORBIDDEN',
  SASL_AUTHENTICATION_FAILED: 'FORBIDDEN',
  UNSUPPORTED_SASL_MECHANISM: 'FORBIDDEN',
  INVALID_TOPIC_EXCEPTION: 'INVALID',
  INVALID_GROUP_ID: 'INVALID',
  INVALID_SESSION_TIMEOUT: 'INVALID',
  INVALID_RECORD: 'INVALID',
  INCONSISTENT_GROUP_PROTOCOL: 'INVALID',
  POLICY_VIOLATION: 'INVALID',
}

/** Everything that an error holds, the outermost first. */
export function failuresIn(error: unknown, seen = new Set<unknown>()): readonly Failure[] {
  if (!(error instanceof Error) || seen.has(error)) return []
  seen.add(error)
  const failure = error as Failure
  return [failure, ...(failure.errors ?? []).flatMap((one) => failuresIn(one, seen)), ...failuresIn(failure.cause, seen)]
}

/** The broker's names of what is wrong, such as NOT_COORDINATOR. */
export const idsOf = (error: unknown): readonly string[] => failuresIn(error).flatMap(({ apiId }) => (apiId === undefined ? [] : [apiId]))

/** Whether waiting helps: everything but a refusal. */
export const isForGood = (error: unknown): boolean =>
  error instanceof RegentError
    ? error.code === 'FORBIDDEN' || error.code === 'INVALID' || error.code === 'TOO_LARGE'
    : refusalIn(error) !== undefined

/** The innermost words, which tell the cause: the library's outer ones tell what it was doing. */
export function wordsOf(error: unknown): string {
  const last = failuresIn(error).at(-1)
  if (!last) return String(error)
  if (last.apiId === 'ILLEGAL_SASL_STATE') return 'this port of the broker knows no accounts (SASL): see security_protocol and the port'
  return last.serverErrorMessage || last.message || last.code || last.name
}

export function toRegentError(error: unknown, doing: string): RegentError {
  if (error instanceof RegentError) return error
  const code = refusalIn(error) ?? 'UNAVAILABLE'
  return new RegentError(code, `Kafka: ${doing}: ${wordsOf(error)}`, {
    ...(code === 'UNAVAILABLE' && { retryAfter: 1 }),
    ...(code === 'TOO_LARGE' && { hint: "raise the topic's max.message.bytes" }),
    cause: error,
  })
}

function refusalIn(error: unknown): 'FORBIDDEN' | 'INVALID' | 'TOO_LARGE' | undefined {
  for (const { apiId, code } of failuresIn(error)) {
    if (apiId !== undefined && Object.hasOwn(forGood, apiId)) return forGood[apiId]
    if (code === 'PLT_KFK_AUTHENTICATION') return 'FORBIDDEN'
  }
  return undefined
}

/** Rejects with UNAVAILABLE when it lasts longer. */
export function within<T>(ms: number, doing: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new RegentError('UNAVAILABLE', `Kafka: ${doing}: no answer within ${Math.round(ms)} ms`, { retryAfter: 1 })),
      ms,
    )
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
