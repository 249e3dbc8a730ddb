import { createHmac, timingSafeEqual } from 'node:crypto'

/** Tokens that runners show on their link: `<run id>.<HMAC of it>`, so that nothing has to be kept and a restart invalidates none. */
export class RunTokens {
  readonly #key: Buffer

  constructor(key: Buffer) {
    this.#key = key
  }

  of(runId: string): string {
    return `${runId}.${this.#mac(runId).toString('base64url')}`
  }

  /** The run that a token stands for. */
  runOf(token: string): string | undefined {
    const dot = token.indexOf('.')
    const runId = token.slice(0, Math.max(0, dot))
    const given = Buffer.from(token.slice(dot + 1), 'base64url')
    const right = this.#mac(runId)
    return given.length === right.length && timingSafeEqual(given, right) ? runId : undefined
  }

  #mac(runId: string): Buffer {
    return createHmac('sha256', this.#key).update(`run:${runId}`).digest()
  }
}
