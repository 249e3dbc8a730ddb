import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { DeadLetter, Incoming, Topic } from '../../../ports/bus.ts'
import type { Connection } from './connection.ts'
import type { Delivery, Headers } from './delivery.ts'
import { bodyOf, cutOf, headersOf, incomingOf } from './headers.ts'
import { StandingBy } from './refusal.ts'

const QUEUE = '/queue/regent.dead'
/** Looked through at most, the oldest first. */
const MOST_SEEN = 10_000
/** Nothing more comes after so long a silence, though the mark was not seen: another looks through them at this moment. */
const SILENCE_MS = 2000
const MOST_REASON = 1000

export interface GraveyardOptions {
  /** A connection of its own: what it was shown and did not acknowledge goes back when it ends. */
  readonly open: () => Promise<Connection>
  /** Confirmed, on any connection. */
  readonly send: (make: (connection: Connection) => { destination: string; headers: Headers; text: string }) => Promise<void>
  readonly clock: Clock
}

interface Found {
  readonly letter: DeadLetter
  readonly delivery: Delivery
}

/** The queue `regent.dead`, where messages lie that were given up. */
export class Graveyard {
  readonly #options: GraveyardOptions
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: GraveyardOptions) {
    this.#options = options
  }

  /** `cut`: how many bytes its body had, which is lost. */
  bury(message: Incoming, group: string | null, reason: string, cut?: number): Promise<void> {
    const { topic, attempt, ...rest } = message
    const { exchange } = topic
    const about: Record<string, string> = {
      regent_dead_id: randomUUID(),
      regent_dead_topic: text(topic.name),
      ...(exchange !== undefined && { regent_dead_exchange: text(exchange) }),
      ...(group !== null && { regent_dead_group: text(group) }),
      regent_dead_reason: text(reason.slice(0, MOST_REASON).toWellFormed()),
      regent_dead_attempt: `${attempt}`,
      ...(cut !== undefined && { regent_dead_cut: `${cut}` }),
      regent_dead_at: `${this.#options.clock.now()}`,
    }
    return this.#options.send(({ broker }) => ({
      destination: QUEUE,
      headers: { ...headersOf(broker, rest), ...about },
      text: message.body,
    }))
  }

  /** The newest `limit`, the oldest of them first. */
  list(topic: Topic | undefined, limit: number): Promise<readonly DeadLetter[]> {
    const selector = topic && `regent_dead_topic = '${text(topic.name)}'`
    return this.#look(selector, async (found) => {
      const letters = found.map(({ letter }) => letter).filter(({ message }) => !topic || isOf(message.topic, topic))
      return letters.sort((a, b) => a.at - b.at).slice(-limit)
    })
  }

  /** Takes one out, once `work` has succeeded; false when there is none of this id. `isWhole`: its body is there. */
  take(id: string, work: (letter: DeadLetter, isWhole: boolean) => Promise<void>): Promise<boolean> {
    return this.#look(`regent_dead_id = '${text(id)}'`, async (found) => {
      const one = found.find(({ letter }) => letter.id === id)
      if (!one) return false
      await work(one.letter, cutOf(one.delivery) === undefined && one.delivery.headers.regent_dead_cut === undefined)
      one.delivery.ack()
      return true
    })
  }

  /** One at a time: a queue shows each of its messages to one reader only. */
  #look<T>(selector: string | undefined, work: (found: readonly Found[]) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const connection = await this.#options.open()
      try {
        return await work(await this.#all(connection, selector))
      } finally {
        await connection.end()
      }
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** A mark is sent after them, to know where they end. */
  async #all(connection: Connection, selector: string | undefined): Promise<readonly Found[]> {
    const mark = randomUUID()
    const found: Found[] = []
    const ended = Promise.withResolvers<void>()
    let cancel = this.#options.clock.after(SILENCE_MS, ended.resolve)
    const headers = headersToLook(connection, selector && `${selector} OR regent_dead_mark = '${mark}'`)
    const subscribed = connection.subscribe('dead', QUEUE, headers, (delivery) => {
      cancel()
      cancel = this.#options.clock.after(SILENCE_MS, ended.resolve)
      const letter = letterOf(delivery)
      if (letter) found.push({ letter, delivery })
      else if (delivery.headers.regent_dead_mark === mark) delivery.ack()
      if (delivery.headers.regent_dead_mark === mark || found.length >= MOST_SEEN) ended.resolve()
    })
    await subscribed.catch((error: unknown) => {
      throw error instanceof StandingBy ? new RegentError('UNAVAILABLE', 'another reads the dead letters', { retryAfter: 1 }) : error
    })
    await connection.send(QUEUE, markHeaders(mark, this.#options.clock.now()), bodyOf(connection.broker, ''))
    await Promise.race([ended.promise, connection.closed])
    cancel()
    return found
  }
}

function headersToLook({ broker }: Connection, selector: string | undefined): Headers {
  if (broker === 'rabbitmq') return { 'prefetch-count': '0' }
  return { 'activemq.prefetchSize': `${MOST_SEEN + 1}`, ...(selector && { selector }) }
}

/** `expires` for ActiveMQ, `expiration` for RabbitMQ: a mark that was left behind goes by itself. */
const markHeaders = (mark: string, now: number): Headers => ({ regent_dead_mark: mark, expires: `${now + 60_000}`, expiration: '60000' })

function letterOf(delivery: Delivery): DeadLetter | undefined {
  const about = (name: string) => delivery.headers[`regent_dead_${name}`]
  const [id, name, exchange, group] = [about('id'), about('topic'), about('exchange'), about('group')]
  if (id === undefined || name === undefined) return undefined
  const topic = { name: plain(name), ...(exchange !== undefined && { exchange: plain(exchange) }) }
  const cut = cutOf(delivery)
  const unread = cut === undefined ? '' : ` (its body of ${cut} bytes is too large to be read)`
  return {
    id,
    message: incomingOf(topic, delivery, Number(about('attempt') ?? 1)),
    group: group === undefined ? null : plain(group),
    reason: plain(about('reason') ?? '') + unread,
    at: Number(about('at') ?? 0),
  }
}

const isOf = ({ name, exchange }: Topic, wanted: Topic) =>
  name === wanted.name && (wanted.exchange === undefined || wanted.exchange === exchange)

/** As a header and a selector can hold it. */
const text = (value: string) => encodeURIComponent(value.toWellFormed()).replaceAll("'", '%27')

function plain(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}
