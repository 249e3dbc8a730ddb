import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { DeadLetter, Topic } from '../../../ports/bus.ts'
import { readLetter, wayBack } from './letters.ts'
import type { Channel, RawMessage } from './library.ts'
import { closeQuietly, type Link } from './link.ts'
import { DEAD_QUEUE } from './names.ts'
import type { Publisher } from './publisher.ts'
import { isTaken, PATIENCE_MS, unavailable } from './troubles.ts'

/** As far as is looked into the queue, from its oldest. */
const MOST_LETTERS = 10_000
const MOST_BYTES = 64 * 1024 * 1024

interface Found {
  readonly raw: RawMessage
  readonly letter: DeadLetter
}

/** What was given up, in a queue of the broker. It is read by taking all of it and giving it back; one reader at a time has it. */
export class DeadQueue {
  readonly #link: Link
  readonly #publisher: Publisher
  readonly #clock: Clock
  #turn: Promise<unknown> = Promise.resolve()

  constructor(link: Link, publisher: Publisher, clock: Clock) {
    this.#link = link
    this.#publisher = publisher
    this.#clock = clock
  }

  /** The newest, the oldest of them first. */
  async list(topic: Topic | undefined, limit: number): Promise<readonly DeadLetter[]> {
    const letters = await this.#browse(async (found) => found.map(({ letter }) => letter))
    const wanted = letters.filter(({ message }) => topic === undefined || isOf(message.topic, topic))
    const each = new Map(wanted.map((letter) => [letter.id, letter]))
    return limit < 1 ? [] : [...each.values()].sort((a, b) => a.at - b.at).slice(-limit)
  }

  /** Back to the queue that it came from. Throws NOT_FOUND when that is gone. */
  requeue(id: string): Promise<boolean> {
    return this.#remove(id, async (raw) => {
      const { place, packed } = wayBack(raw)
      await this.#publisher.publish(place, packed)
    })
  }

  drop(id: string): Promise<boolean> {
    return this.#remove(id, async () => {})
  }

  #remove(id: string, before: (raw: RawMessage) => Promise<void>): Promise<boolean> {
    return this.#browse(async (found, channel) => {
      const named = found.filter(({ letter }) => letter.id === id)
      const [one] = named
      if (!one) return false
      await before(one.raw)
      for (const { raw } of named) channel.basicAck({ deliveryTag: raw.deliveryTag })
      return true
    })
  }

  /** One after the other, here and, by an exclusive consumer, among all clients. */
  #browse<T>(work: (found: readonly Found[], channel: Channel) => Promise<T>): Promise<T> {
    const mine = this.#turn.then(() => this.#browseNow(work))
    this.#turn = mine.catch(() => {})
    return mine
  }

  async #browseNow<T>(work: (found: readonly Found[], channel: Channel) => Promise<T>): Promise<T> {
    const connection = await this.#link.connection(AbortSignal.timeout(PATIENCE_MS), true).catch((error: unknown) => {
      throw error instanceof RegentError ? error : this.#link.away(error)
    })
    const end = this.#clock.elapsed() + PATIENCE_MS
    for (;;) {
      const channel = await this.#link.channel(connection)
      channel.on('error', () => {})
      try {
        const found = await this.#link.patiently(connection, collect(channel, end, this.#clock))
        return await work(found, channel)
      } catch (error) {
        if (!isTaken(error) || this.#clock.elapsed() > end) throw this.#explain(error)
      } finally {
        if (channel.active) await this.#link.patiently(connection, channel.close()).catch(() => closeQuietly(channel))
      }
      await this.#clock.sleep(50 + Math.random() * 100)
    }
  }

  #explain(error: unknown): unknown {
    if (error instanceof RegentError) return error
    if (isTaken(error)) return unavailable(`the queue ${DEAD_QUEUE} is being read by another`, error)
    return this.#link.away(error)
  }
}

/** Takes what is there, unacknowledged: the end of the channel gives it back, each to its place. */
async function collect(channel: Channel, end: number, clock: Clock): Promise<Found[]> {
  const raws: RawMessage[] = []
  await channel.queueDeclare({ queue: DEAD_QUEUE, durable: true })
  await channel.basicQos({ prefetchCount: 1 })
  await channel.basicConsume({ queue: DEAD_QUEUE, exclusive: true }, (raw) => void raws.push(raw as RawMessage))
  let bytes = 0
  while (raws.length < MOST_LETTERS && bytes < MOST_BYTES && clock.elapsed() < end - 500) {
    const raw = (await channel.basicGet({ queue: DEAD_QUEUE })) as RawMessage | undefined
    if (!raw) break
    bytes += raw.body.length
    raws.push(raw)
  }
  await turn()
  return raws.map((raw) => ({ raw, letter: readLetter(raw) }))
}

const isOf = ({ name, exchange }: Topic, wanted: Topic) =>
  name === wanted.name && (wanted.exchange === undefined || wanted.exchange === exchange)
