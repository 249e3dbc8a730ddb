/** Who wants to know whether an answer has left: settled once each, by request. */
export class Answers {
  readonly #waiting = new Map<string | number, (flushed: boolean) => void>()
  #closed = false

  add(requestId: string | number, settle: (flushed: boolean) => void): void {
    if (this.#closed) settle(false)
    else this.#waiting.set(requestId, settle)
  }

  settle(requestId: string | number, flushed: boolean): void {
    const settle = this.#waiting.get(requestId)
    this.#waiting.delete(requestId)
    settle?.(flushed)
  }

  /** The client is gone: what has not left, never will. */
  close(flushed = false): void {
    this.#closed = true
    for (const id of [...this.#waiting.keys()]) this.settle(id, flushed)
  }
}
