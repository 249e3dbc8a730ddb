import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'
import { isObject } from '../../../kernel/json.ts'

/** What went wrong with one try, and whether another may succeed. */
export interface Fault {
  readonly error: RegentError
  readonly passes: boolean
  /** The provider's own wish for the pause before the next try, in ms. */
  readonly afterMs?: number
}

export interface FaultContext {
  /** `provider.model`, as people know it. */
  readonly id: string
  /** Never to be shown, whoever echoes it. */
  readonly key: string
  /** Which setting holds the key, and which the address, in one sentence each. */
  readonly keyHint: string
  readonly addressHint: string
  /** Epoch in ms, for Retry-After given as a date. */
  readonly now: number
}

/** The answer ended before its end. */
export class CutStream extends Error {
  override readonly name = 'CutStream'
}

/** An error of the provider's library or of the network, in the provider's own words. */
export function faultOf(thrown: unknown, context: FaultContext): Fault {
  if (thrown instanceof RegentError) return { error: thrown, passes: false }
  const status = statusOf(thrown)
  const words = scrub(reasonOf(thrown), context.key)
  if (status !== undefined) return refusal(thrown, status, words, context)
  if (thrown instanceof CutStream || isNetworkFault(thrown)) {
    const code = isConnectFault(thrown) ? 'UNAVAILABLE' : 'UPSTREAM'
    const hint = code === 'UNAVAILABLE' ? { hint: context.addressHint } : {}
    const what = code === 'UNAVAILABLE' ? 'cannot be reached' : 'was cut off'
    return { error: new RegentError(code, `${context.id} ${what}: ${words}`, hint), passes: true }
  }
  return { error: new RegentError('UPSTREAM', `${context.id} answered in a way that is not understood: ${words}`), passes: false }
}

function refusal(thrown: unknown, status: number, words: string, context: FaultContext): Fault {
  const spent = errorCodeOf(thrown) === 'insufficient_quota'
  const passes = !spent && (status === 408 || status === 429 || status >= 500)
  const afterMs = retryAfterOf(thrown, context.now)
  const hint = hintOf(status, spent, context)
  const error = new RegentError('UPSTREAM', `${context.id} refused with ${status}: ${words}`, {
    details: { status },
    ...(hint !== undefined && { hint }),
    ...(passes && afterMs !== undefined && { retryAfter: Math.ceil(afterMs / 1000) }),
  })
  return { error, passes, ...(afterMs !== undefined && { afterMs }) }
}

function hintOf(status: number, spent: boolean, { keyHint, addressHint }: FaultContext): string | undefined {
  if (spent) return 'The account of this key has no credit left.'
  if (status === 401 || status === 403) return keyHint
  if (status === 404) return `Check the name of the model. ${addressHint}`
  if (status >= 300 && status < 400) return addressHint
  if (status === 429) return 'The provider limits how much this key may ask; try again later.'
  return undefined
}

/** HTTP's, or what the provider's library made of an error inside a stream; none where the fault came after a good status. */
function statusOf(thrown: unknown): number | undefined {
  const status = isObject(thrown) ? thrown.statusCode : undefined
  return typeof status === 'number' && (status < 200 || status >= 300) ? status : undefined
}

function errorCodeOf(thrown: unknown): unknown {
  const data = isObject(thrown) ? thrown.data : undefined
  const inner = isObject(data) && isObject(data.error) ? data.error : data
  return isObject(inner) ? (inner.code ?? inner.type) : undefined
}

function retryAfterOf(thrown: unknown, now: number): number | undefined {
  const headers = isObject(thrown) ? thrown.responseHeaders : undefined
  if (!isObject(headers)) return undefined
  const exact = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (exact >= 0) return exact
  const plain = headers['retry-after']
  if (typeof plain !== 'string') return undefined
  const seconds = Number(plain)
  if (seconds >= 0) return seconds * 1000
  const at = Date.parse(plain)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

const connectCodes = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'])
const streamCodes = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'UND_ERR_SOCKET', 'UND_ERR_BODY_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT'])

const isConnectFault = (thrown: unknown): boolean => causes(thrown).some((one) => connectCodes.has(systemCode(one) ?? ''))
const isNetworkFault = (thrown: unknown): boolean =>
  isConnectFault(thrown) || causes(thrown).some((one) => one instanceof CutStream || streamCodes.has(systemCode(one) ?? ''))

/** The error with everything that caused it. */
function causes(thrown: unknown): unknown[] {
  const found: unknown[] = []
  for (let at = thrown; at !== undefined && at !== null && found.length < 8; at = (at as { cause?: unknown }).cause) found.push(at)
  return [...found, ...found.flatMap((one) => (one instanceof AggregateError ? one.errors : []))]
}

const scrub = (text: string, key: string): string => (key === '' ? text : text.replaceAll(key, '***')).slice(0, 2000)
