import { setTimeout as pause } from 'node:timers/promises'
import type { Client, GivenInput } from '../../../client/client.ts'
import type { Output, ValueName } from '../../../contract/operations.ts'
import { RegentError, systemCode } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'

/** A Regent that cannot be reached for this long is given up. */
const PATIENCE_MS = 120_000
const RETRY_MS = 500

/** A client for what may take hours: it goes on when Regent was started anew. Only for calls that may be repeated. */
export class Connection {
  readonly #cli: Cli
  #client: Client | undefined
  #wasThere = false
  #lostAt: number | undefined

  constructor(cli: Cli) {
    this.#cli = cli
  }

  async call<N extends ValueName>(name: N, input: GivenInput<N>): Promise<Output<N>> {
    for (;;) {
      try {
        const answer = await (await this.client()).call(name, input, { signal: this.#cli.signal })
        this.works()
        return answer
      } catch (error) {
        await this.lost(error)
      }
    }
  }

  async client(): Promise<Client> {
    this.#client ??= await this.#cli.client()
    return this.#client
  }

  works(): void {
    this.#wasThere = true
    this.#lostAt = undefined
  }

  /** After a failure: resolves when it is to be tried again, and throws it otherwise. A Regent that was never there is not waited for. */
  async lost(error: unknown): Promise<void> {
    if (!(error instanceof RegentError) || error.code !== 'UNAVAILABLE' || !(this.#wasThere || hasAnswered(error))) throw error
    this.#wasThere = true
    if (this.#lostAt === undefined) this.#cli.note('the connection to Regent is lost; this goes on when it is back')
    this.#lostAt ??= performance.now()
    if (performance.now() - this.#lostAt > PATIENCE_MS) throw error
    this.#client = undefined // It may be back at another port.
    await pause(RETRY_MS, undefined, { signal: this.#cli.signal })
  }
}

/** Somebody was there: they said that they cannot now, or were cut off while they were asked. */
const hasAnswered = ({ details, cause }: RegentError): boolean => details.what !== 'server' || systemCode(cause) === 'ECONNRESET'
