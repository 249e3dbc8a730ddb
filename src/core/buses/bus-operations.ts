import type { Input, Output } from '../../contract/operations.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import { isObject } from '../../kernel/json.ts'
import type { Outgoing } from '../../ports/bus.ts'
import type { Outbox } from '../events/outbox.ts'
import type { Handlers, Handling } from '../handling.ts'
import type { BrokerWatch } from './broker-watch.ts'
import { brokerNamed, type Place, type PlaceOptions, placeOf } from './places.ts'

export interface BusOptions extends PlaceOptions {
  readonly ids: Ids
  readonly watch: BrokerWatch
  readonly outbox: Pick<Outbox, 'relays'>
}

/** Ids of messages whose publishing is known, so that a repeated command publishes once. */
const MOST_KNOWN = 10_000
/** So many dead messages of inboxes are counted. */
const MOST_DEAD = 1000

export function busOperations(options: BusOptions): Handlers<'bus.publish' | 'bus.topics' | 'bus.status'> {
  const published = new Once()
  return {
    'bus.publish': (input, handling) => publish(options, published, input, handling),
    async 'bus.topics'({ broker }) {
      return { topics: [...(await brokerNamed(options.brokers, broker).bus.topics())] }
    },
    async 'bus.status'() {
      const [brokers, dead] = await Promise.all([options.watch.views(), options.store.read.messages.dead(undefined, MOST_DEAD)])
      return { brokers, relays: options.outbox.relays(), dead_in_inboxes: dead.length }
    },
  }
}

async function publish(
  options: BusOptions,
  published: Once,
  input: Input<'bus.publish'>,
  handling: Handling,
): Promise<Output<'bus.publish'>> {
  const { caller, signal, accept } = handling
  const place = await placeOf(options, input, caller, 'inbound')
  try {
    return await publishAt(options, published, place, input, { signal, accept })
  } finally {
    place.done()
  }
}

async function publishAt(
  options: BusOptions,
  published: Once,
  place: Place,
  input: Input<'bus.publish'>,
  { signal, accept }: Pick<Handling, 'signal' | 'accept'>,
): Promise<Output<'bus.publish'>> {
  const message = messageOf(input, place, input.id ?? options.ids.next())
  const topic = place.topic.name
  // The same key gets the id of the first time, so that a repetition is seen as one wherever it arrives.
  const accepted = await accept(async () => ({ id: message.id, topic, broker: place.broker }))
  const send = () => place.bus.publish(place.topic, { ...message, id: accepted.id }, signal)
  // Agents may have brokers of their own of one kind, with topics of one name.
  await published.run(
    `${place.agentId ?? ''} ${accepted.broker} ${accepted.topic} ${accepted.id}`,
    send,
    input.id !== undefined || accepted.id !== message.id,
  )
  return accepted
}

function messageOf(input: Input<'bus.publish'>, { stem }: Place, id: string): Outgoing {
  const { message, key, headers, content_type: given } = input
  const { body, type } = stem === undefined ? plain(message) : envelope(message)
  const contentType = given ?? type
  return {
    id,
    body,
    ...(contentType !== undefined && { contentType }),
    ...(key !== undefined && { key }),
    ...(headers !== undefined && { headers }),
  }
}

const plain = (message: unknown): { body: string; type?: string } =>
  typeof message === 'string' ? { body: message } : { body: JSON.stringify(message ?? null), type: 'application/json' }

/** What an agent's channel takes: its envelope, or a text that becomes one (CONTRACT.md 1.4). */
function envelope(message: unknown): { body: string; type: string } {
  const type = 'application/json'
  if (typeof message === 'string') return { body: JSON.stringify({ type: 'user', content: message }), type }
  if (isObject(message) && typeof message.type === 'string') return { body: JSON.stringify(message), type }
  throw new RegentError('INVALID', 'an agent takes a text, or an object with a type', {
    hint: 'such as {"type":"user","content":"How is ETH?"}',
  })
}

/** Remembers what was done, so that it is done once while this process lives; what failed may be done again. */
class Once {
  readonly #done = new Map<string, Promise<void>>()

  run(name: string, work: () => Promise<void>, mayBeKnown: boolean): Promise<void> {
    const known = mayBeKnown ? this.#done.get(name) : undefined
    if (known) return known
    const doing = work()
    this.#done.set(name, doing)
    doing.catch(() => this.#done.delete(name))
    const [oldest] = this.#done.keys()
    if (this.#done.size > MOST_KNOWN && oldest !== undefined) this.#done.delete(oldest)
    return doing
  }
}
