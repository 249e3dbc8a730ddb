/** Ends what was begun with a token, such as a stream, when the token is revoked. One signal for each token that was used. */
export class Revocations {
  readonly #tokens = new Map<string, AbortController>()

  of(tokenId: string): AbortSignal {
    const known = this.#tokens.get(tokenId)
    if (known) return known.signal
    const controller = new AbortController()
    this.#tokens.set(tokenId, controller)
    return controller.signal
  }

  revoke(tokenId: string): void {
    this.#tokens.get(tokenId)?.abort()
    this.#tokens.delete(tokenId)
  }
}
