/** What became of a question for a sign of life; absent: there is no link now. */
export type Heartbeat = 'answered' | 'silent' | 'absent'

/** Asks one connection for signs of life. */
export class Beats {
  readonly #ping: () => void
  readonly #waiting = new Set<(said: Heartbeat) => void>()

  constructor(ping: () => void) {
    this.#ping = ping
  }

  /** Resolves at the next sign of life, or when the signal aborts. */
  ask(signal: AbortSignal): Promise<Heartbeat> {
    return new Promise((resolve) => {
      const silent = () => done('silent')
      const done = (said: Heartbeat) => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', silent)
        resolve(said)
      }
      this.#waiting.add(done)
      signal.addEventListener('abort', silent, { once: true })
      if (signal.aborted) silent()
      else this.#ping()
    })
  }

  heard(): void {
    for (const done of [...this.#waiting]) done('answered')
  }

  /** The connection is gone. */
  lost(): void {
    for (const done of [...this.#waiting]) done('absent')
  }
}
