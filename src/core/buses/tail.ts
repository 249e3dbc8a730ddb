import type { Output } from '../../contract/operations.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Incoming, SubscribeOptions } from '../../ports/bus.ts'
import type { Streams } from '../handling.ts'
import { type Place, type PlaceOptions, placeOf } from './places.ts'

/** Messages that may wait for a slow reader of a topic; past that the oldest are dropped, or those of a group held back. */
const MOST_WAITING = 1000

type Tailed = Output<'bus.tail'>

export function busStreams(options: PlaceOptions): Streams<'bus.tail'> {
  return {
    async *'bus.tail'({ from, group, ...wanted }, { caller, signal }) {
      const place = await placeOf(options, wanted, caller, 'outbound')
      try {
        yield* follow(place, from, group, signal)
      } finally {
        place.done()
      }
    },
  }
}

async function* follow(
  { bus, broker, topic }: Place,
  from: 'latest' | 'earliest',
  group: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Tailed> {
  if (from === 'earliest' && (!bus.can.replays || topic.fleeting))
    throw new RegentError('INVALID', `${broker} (${bus.kind}) does not keep what was published${topic.fleeting ? ' so' : ''}`, {
      hint: 'leave --from out: what is published from now on comes',
    })
  await bus.check()
  const waiting = new Waiting(group !== undefined)
  const settings: SubscribeOptions = { from, signal, ...(group !== undefined && { group }) }
  const subscription = await bus.subscribe(topic, (message, ended) => waiting.put(message, ended), settings)
  const stop = () => waiting.end()
  signal.addEventListener('abort', stop, { once: true })
  try {
    if (!signal.aborted) yield* waiting
  } finally {
    signal.removeEventListener('abort', stop)
    waiting.end()
    await subscription.close()
  }
}

/** Between a subscription and the reader of a stream. `keeps`: a message counts as handled once it was read; without it the oldest go. */
class Waiting {
  readonly #keeps: boolean
  readonly #messages: { readonly message: Incoming; read(): void }[] = []
  #wake = () => {}
  #ended = false

  constructor(keeps: boolean) {
    this.#keeps = keeps
  }

  async put(message: Incoming, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (this.#messages.length >= MOST_WAITING) this.#messages.shift()?.read()
    this.#messages.push({ message, read: resolve })
    this.#wake()
    if (!this.#keeps) return
    if (signal.aborted) throw signal.reason
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    await promise
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Tailed> {
    while (!this.#ended) {
      const next = this.#messages.shift()
      if (!next) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        continue
      }
      const { id, topic, body, key, contentType, headers, attempt } = next.message
      yield { id, topic: topic.name, body, key: key ?? null, content_type: contentType ?? null, headers: { ...headers }, attempt }
      next.read()
    }
  }
}
