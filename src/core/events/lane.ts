import { RegentError } from '../../kernel/errors.ts'
import type { Bus, Outgoing, Topic } from '../../ports/bus.ts'

export interface LaneOptions {
  readonly bus: Bus
  readonly stop: AbortSignal
  /** Resolves when the broker may be tried, with what is to be told when that fails. */
  readonly ready: () => Promise<number>
  readonly failed: (round: number, topic: Topic, error: unknown) => void
  readonly sent: () => void
  /** No repetition makes a broker take it: it does not hold up what comes after it. */
  readonly refused: (topic: Topic, message: Outgoing, error: unknown) => void
  /** Nothing waits any more. */
  readonly empty: () => void
}

interface Waiting {
  readonly topic: Topic
  readonly message: Outgoing
  readonly done: PromiseWithResolvers<void>
}

/**
 * Sends in order, each until it is confirmed. Where the bus keeps the order of what is under way, all that waits goes out at once; when
 * one of them fails, those behind it may have arrived: from it on they are sent again, one after the other until none is in doubt.
 */
export class Lane {
  readonly #o: LaneOptions
  #queue: Waiting[] = []
  #running = false
  /** So many of the next may have arrived already. */
  #inDoubt = 0

  constructor(options: LaneOptions) {
    this.#o = options
  }

  /** Resolves when it is confirmed or refused; rejects when the signal aborts before. */
  add(topic: Topic, message: Outgoing): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#queue.push({ topic, message, done })
    if (!this.#running) void this.#run()
    return done.promise
  }

  async #run(): Promise<void> {
    const { stop, ready, empty } = this.#o
    this.#running = true
    while (this.#queue.length > 0 && !stop.aborted) {
      const round = await ready()
      if (!stop.aborted) await this.#send(round)
    }
    this.#running = false
    for (const { done } of this.#queue.splice(0)) done.reject(stop.reason)
    empty()
  }

  async #send(round: number): Promise<void> {
    const { bus, stop, failed } = this.#o
    const batch = this.#queue.slice(0, bus.can.pipelined && this.#inDoubt === 0 ? undefined : 1)
    const flight = new AbortController()
    const signal = batch.length > 1 ? AbortSignal.any([stop, flight.signal]) : stop
    let problem: { readonly topic: Topic; readonly error: unknown } | undefined
    const publish = async ({ topic, message }: Waiting): Promise<Outcome> => {
      try {
        await bus.publish(topic, message, signal)
        return { how: 'sent' }
      } catch (error) {
        if (isHopeless(error)) return { how: 'refused', error }
        problem ??= { topic, error }
        // What has not left yet must not overtake it.
        flight.abort(error)
        return { how: 'failed' }
      }
    }
    const settled = this.#settle(batch, await Promise.all(batch.map(publish)))
    this.#inDoubt = Math.max(0, this.#inDoubt - settled, batch.length - settled)
    if (problem && !stop.aborted) failed(round, problem.topic, problem.error)
  }

  /** So many came to an end, up to the first that did not. */
  #settle(batch: readonly Waiting[], outcomes: readonly Outcome[]): number {
    const { sent, refused } = this.#o
    const failure = outcomes.findIndex(({ how }) => how === 'failed')
    const settled = failure < 0 ? batch.length : failure
    this.#queue.splice(0, settled)
    for (const [at, { topic, message, done }] of batch.slice(0, settled).entries()) {
      const outcome = outcomes[at]
      if (outcome?.how === 'refused') refused(topic, message, outcome.error)
      else sent()
      done.resolve()
    }
    return settled
  }
}

type Outcome = { readonly how: 'sent' } | { readonly how: 'refused'; readonly error: unknown } | { readonly how: 'failed' }

const isHopeless = (error: unknown): boolean => error instanceof RegentError && (error.code === 'TOO_LARGE' || error.code === 'INVALID')
