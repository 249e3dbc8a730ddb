/** What one HTTP server takes. Times in ms. */
export interface HttpLimits {
  readonly bodyBytes: number
  readonly headerBytes: number
  /** For the headers to arrive, and for the whole request; how long an answer takes is another matter. */
  readonly headersMs: number
  readonly requestMs: number
  readonly connections: number
  /** For answers in flight when the server closes. */
  readonly graceMs: number
  /** Between heartbeats of a stream. */
  readonly heartbeatMs: number
  /** That the reader of a stream may take nothing. */
  readonly stallMs: number
}

export const httpLimits: HttpLimits = {
  bodyBytes: 1 << 20,
  headerBytes: 16 << 10,
  headersMs: 10_000,
  requestMs: 30_000,
  connections: 1024,
  graceMs: 10_000,
  heartbeatMs: 15_000,
  stallMs: 10_000,
}
