import { createHash } from 'node:crypto'
import type { ChannelTopic } from '../contract/channels.ts'
import { hear, listenerEvent } from '../contract/envelopes.ts'
import { heardIds } from '../contract/link.ts'
import { reasonOf } from '../kernel/errors.ts'
import type { Bus, Incoming, SubscribeOptions, Subscription, Topic } from '../ports/bus.ts'
import type { ChannelOptions } from './channel-options.ts'
import { cleanText } from './clean.ts'

/** Prompts that are written down together; they stay in the order of their arrival all the same. */
const AT_ONCE = 64
/** Of what cannot be held back all is taken. */
const FLEETING_AT_ONCE = 1_000
/** A prompt is only ever put off, never at fault. */
const NEVER = 1_000_000
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** When an announcement is not heard, it is made again. */
const HEARD_MS = 2_000
/** How long a stop waits for its own leave to come back. */
const LEAVE_MS = 250
/** What cannot be held back (pub/sub) and waits to be worked on: so much of it is kept, in characters. */
const MOST_CHARS = 32_000_000
const ROOM = 200
/** Of a broker's id of a message; a longer one is told by its hash. */
const LONGEST_ID = 400

/**
 * Hears the agent's channel: prompts are on disk before the broker learns that they were taken, so that none is lost and each is taken
 * once. On fleeting topics Regent and the agent take turns; an event on the topic itself says who has it from there on.
 */
export class Ear {
  readonly #bus: Bus
  readonly #options: ChannelOptions
  readonly #closing = new AbortController()
  readonly #subscriptions: Promise<Subscription | undefined>[] = []
  /** Fleeting topics whose turn is the agent's. */
  readonly #ours = new Set<string>()
  /** Fleeting topics where others wait for an announcement to come back. */
  readonly #awaited = new Map<string, () => void>()
  #flood = 0
  #dropped = 0

  constructor(bus: Bus, options: ChannelOptions) {
    this.#bus = bus
    this.#options = options
  }

  open(): void {
    const { inbound, outbound } = this.#options.place
    for (const topic of inbound) this.#subscriptions.push(this.#listen(topic, true))
    for (const topic of outbound) this.#subscriptions.push(this.#listen(topic, false))
  }

  /** Takes what comes until Regent has the turn, where it takes turns. */
  async close(): Promise<void> {
    await Promise.all([...this.#ours].map((topic) => this.#leave(topic)))
    this.#closing.abort()
    await Promise.all(this.#subscriptions.map(async (subscribing) => (await subscribing)?.close()))
  }

  async #listen(topic: ChannelTopic, inbound: boolean): Promise<Subscription | undefined> {
    const { agentId, place, conditions, clock, relieved } = this.#options
    const handler = (message: Incoming) => this.#take(topic, message, inbound)
    const shared: SubscribeOptions = { concurrency: AT_ONCE, maxAttempts: NEVER, signal: this.#closing.signal }
    const byTurns = topic.fleeting && inbound && relieved
    if (!byTurns) this.#ours.add(topic.name)
    const options = topic.fleeting
      ? { ...shared, concurrency: FLEETING_AT_ONCE }
      : { ...shared, group: inbound ? `regent-${agentId}` : `regent-${agentId}-answers`, from: place.from }
    for (let wait = FIRST_WAIT_MS; !this.#closing.signal.aborted; wait = Math.min(LONGEST_WAIT_MS, wait * 2)) {
      try {
        const subscription = await this.#bus.subscribe(topic, handler, options)
        conditions.clear('channel', topic.name)
        if (byTurns) void this.#arrive(topic)
        return subscription
      } catch (error) {
        if (this.#closing.signal.aborted) return undefined
        conditions.raise('channel', topic.name, `it cannot be listened to: ${reasonOf(error)}; tried again in ${wait / 1_000} s`)
        await clock.sleep(wait, this.#closing.signal).catch(() => undefined)
      }
    }
    return undefined
  }

  /** Says that the agent listens here, until it hears that itself: what comes behind that is the agent's. */
  async #arrive(topic: ChannelTopic): Promise<void> {
    while (!this.#closing.signal.aborted && !this.#ours.has(topic.name)) await this.#say(topic, 'here', HEARD_MS)
  }

  async #leave(name: string): Promise<void> {
    const topic = this.#options.place.inbound.find((one) => one.name === name && one.fleeting)
    if (topic && this.#options.relieved) await this.#say(topic, 'gone', LEAVE_MS)
  }

  /** Resolves when it came back, or after `waitMs`. */
  async #say(topic: Topic, what: 'here' | 'gone', waitMs: number): Promise<void> {
    const { name, runId, clock } = this.#options
    const back = new Promise<void>((heard) => this.#awaited.set(topic.name, heard))
    const body = JSON.stringify(listenerEvent(what, name, runId, clock.now()))
    const said = this.#bus
      .publish(topic, { id: `${runId}:${what}`, body, contentType: 'application/json' }, this.#closing.signal)
      .catch(() => undefined)
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.#closing.signal])
    await Promise.race([said.then(() => back), clock.sleep(waitMs, signal).catch(() => undefined)])
    over.abort()
  }

  async #take(topic: ChannelTopic, message: Incoming, inbound: boolean): Promise<void> {
    const { approvals, logger, runId } = this.#options
    const heard = hear(message.body)
    if (heard.kind === 'listener') {
      if (heard.run !== runId || !topic.fleeting) return
      if (heard.what === 'here') this.#ours.add(topic.name)
      else this.#ours.delete(topic.name)
      return this.#awaited.get(topic.name)?.()
    }
    if (heard.kind === 'answer') {
      const { outcome } = await approvals.answer(heard.requestId, heard.confirmed, 'channel', 'channel')
      if (outcome === 'late') logger.info({ approval: heard.requestId, topic: topic.name }, 'an answer on the channel came too late')
      return
    }
    if (heard.kind !== 'prompt' || !inbound) return
    if (topic.fleeting) {
      if (!this.#ours.has(topic.name) || this.#tooMuch(heard.content)) return
    } else await this.#room()
    await this.#keep(topic, message, cleanText(heard.content), heard.metadata)
  }

  /** Rejects, so that the broker keeps the message, when the agent stops before there is room. */
  async #room(): Promise<void> {
    const { signal } = this.#closing
    signal.throwIfAborted()
    let stop = (): void => {}
    const stopped = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
    })
    await Promise.race([this.#options.inbox.room(), stopped]).finally(() => signal.removeEventListener('abort', stop))
    signal.throwIfAborted()
  }

  #keep(topic: ChannelTopic, { id: own }: Incoming, content: string, metadata: Readonly<Record<string, unknown>>): Promise<void> {
    const { agentId, inbox } = this.#options
    const id = `${heardIds(agentId)}${topic.name}:${plainId(own)}`
    const message = { id, conversation: 'main', sender: 'channel', content, metadata }
    const { id: message_id, ...rest } = message
    const heard = { kind: 'heard' as const, message_id, ...rest, metadata: { ...metadata }, via: topic.name }
    return inbox.take(message, { e: 'say', body: heard })
  }

  /** Who publishes to a pub/sub channel cannot be held back; past a bound what comes is dropped, and that is told. */
  #tooMuch(content: string): boolean {
    const { journal, conditions, place } = this.#options
    if (journal.state.inbox.size < ROOM) this.#flood = 0
    this.#flood += content.length
    if (this.#flood <= MOST_CHARS) return false
    this.#dropped++
    conditions.raise(
      'channel',
      `${place.stem} flooded`,
      `${this.#dropped} prompts of a pub/sub channel were dropped: more wait than can be kept`,
    )
    return true
  }
}

/** Whatever a foreign client calls its message: an id that Regent's store and link take, the same each time. */
const plainId = (own: string): string =>
  own.length <= LONGEST_ID && !/\p{Cc}/u.test(own) && own.isWellFormed() ? own : createHash('sha256').update(own).digest('hex')
