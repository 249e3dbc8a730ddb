/** Every error code of Regent: the HTTP status a door answers with, and whether the same call may succeed later. */
export const errorTable = {
  BAD_REQUEST: { status: 400, retry: false },
  UNAUTHENTICATED: { status: 401, retry: false },
  FORBIDDEN: { status: 403, retry: false },
  NOT_FOUND: { status: 404, retry: false },
  ALREADY_EXISTS: { status: 409, retry: false },
  AMBIGUOUS: { status: 409, retry: false },
  ILLEGAL_STATE: { status: 409, retry: false },
  TOO_LATE: { status: 409, retry: false },
  STALE: { status: 412, retry: false },
  TOO_LARGE: { status: 413, retry: false },
  UNSUPPORTED_MEDIA: { status: 415, retry: false },
  INVALID: { status: 422, retry: false },
  TOO_MANY: { status: 429, retry: true },
  INTERNAL: { status: 500, retry: false },
  START_FAILED: { status: 500, retry: true },
  NOT_YET: { status: 501, retry: false },
  UPSTREAM: { status: 502, retry: true },
  UNAVAILABLE: { status: 503, retry: true },
  TIMED_OUT: { status: 504, retry: true },
  NO_SPACE: { status: 507, retry: true },
} as const

export type ErrorCode = keyof typeof errorTable

/** One thing wrong with one field of an input: `path` as in `subagents.0.name`. */
export interface FieldError {
  readonly path: string
  readonly message: string
}

export interface ErrorOptions {
  /** What to do about it, in one sentence. */
  readonly hint?: string
  readonly fields?: readonly FieldError[]
  /** Seconds after which a retry makes sense. */
  readonly retryAfter?: number
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/** The only error Regent throws on purpose. Doors map it once each; its message is for people and never matched. */
export class RegentError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined
  readonly fields: readonly FieldError[]
  readonly retryAfter: number | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'RegentError'
    this.code = code
    this.hint = options.hint
    this.fields = options.fields ?? []
    this.retryAfter = options.retryAfter
    this.details = options.details ?? {}
  }

  get status(): number {
    return errorTable[this.code].status
  }
}

/** The words of anything that was thrown, never empty. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) {
    const cause = error.cause instanceof Error && !error.message.includes(error.cause.message) ? `: ${error.cause.message}` : ''
    return `${error.message || error.name}${cause}`
  }
  return String(error)
}

/** The `code` of a system error (`ENOENT`, `ECONNREFUSED`), if it has one. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' ? code : undefined
}
