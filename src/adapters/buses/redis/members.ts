import { randomUUID } from 'node:crypto'
import type { Clock } from '../../../kernel/clock.ts'
import type { Connection } from './connection.ts'
import { type Entry, entryOf } from './messages.ts'
import { listOf, type Pending, pendingOf, recordOf } from './replies.ts'

/** A consumer of ours that has not renewed its lease for this long is dead. */
const LEASE_MS = 4000
/** What a consumer of others has not acknowledged for this long is taken from it. */
const FOREIGN_IDLE_MS = 300_000
/** Leaving consumers hand to this one, which never lives. */
const LEFT = 'regent:left'
const LEFT_IDLE_MS = 3_600_000
const PAGE = 100

/** Deletes a consumer only while it holds nothing: with it would go what it was given. */
const FORGET = `for _, c in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local r = {}
  for i = 1, #c, 2 do r[c[i]] = c[i + 1] end
  if r.name == ARGV[2] and r.pending == 0 then return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2]) end
end
return 0`

export interface Claimed {
  readonly entry: Entry
  readonly attempt: number
}

interface Member {
  readonly name: string
  readonly pending: number
}

/** One consumer among those of its group: tells that it lives, and takes over from those that do not. */
export class Members {
  readonly #clock: Clock
  readonly #main: Connection
  readonly #key: string
  readonly #group: string
  readonly #uuid = randomUUID()
  readonly consumer: string
  #renewedAt: number
  #written = 0

  constructor(clock: Clock, main: Connection, key: string, group: string, concurrency: number) {
    this.#clock = clock
    this.#main = main
    this.#key = key
    this.#group = group
    this.consumer = `regent:${this.#uuid}:${concurrency}`
    this.#renewedAt = clock.elapsed()
  }

  /** Others may have taken what this one holds. */
  get lapsed(): boolean {
    return this.#clock.elapsed() - this.#renewedAt >= LEASE_MS
  }

  /** False when the lease had run out: it counts as lapsed until `trust`, once it is known what is still this one's. */
  async renew(): Promise<boolean> {
    const at = this.#clock.elapsed()
    await this.#main.send(leaseOf(this.#uuid), ['SET', leaseOf(this.#uuid), '1', 'PX', String(LEASE_MS)])
    this.#written = at
    const inTime = at - this.#renewedAt < LEASE_MS
    if (inTime) this.#renewedAt = at
    return inTime
  }

  trust(): void {
    this.#renewedAt = this.#written
  }

  /** Hands over what was not done, each with how often it was tried, and leaves. */
  async leave(): Promise<void> {
    await this.#forget(this.consumer)
    await this.#main.send(leaseOf(this.#uuid), ['DEL', leaseOf(this.#uuid)])
  }

  async handOver(tried: ReadonlyMap<string, number>): Promise<void> {
    const byCount = Map.groupBy(tried, ([, count]) => count)
    for (const [count, entries] of byCount) {
      const ids = entries.map(([id]) => id)
      const rest = ['IDLE', String(LEFT_IDLE_MS), 'RETRYCOUNT', String(count), 'JUSTID']
      await this.#main.send(this.#key, ['XCLAIM', this.#key, this.#group, LEFT, '0', ...ids, ...rest])
    }
  }

  /** Writes down which try comes next, for whoever may have to take over. */
  async mark(id: string, attempt: number): Promise<void> {
    const rest = ['RETRYCOUNT', String(attempt), 'JUSTID']
    await this.#main.send(this.#key, ['XCLAIM', this.#key, this.#group, this.consumer, '0', id, ...rest])
  }

  /** What this consumer was given and has not acknowledged. */
  mine(): Promise<Pending[]> {
    return this.#pendingOf(this.consumer, [], Number.POSITIVE_INFINITY)
  }

  /** Has entries of its own once more: those of `mine` whose delivery was lost. */
  async again(pending: readonly Pending[], minIdle: number): Promise<Claimed[]> {
    return this.#claim(
      pending.map((one) => ({ ...one, attempt: Math.max(1, one.count) })),
      minIdle,
    )
  }

  /** Waits until each member that holds something has shown that it lives, or is dead, and takes what the dead held. */
  async settle(take: (claimed: readonly Claimed[]) => void, stopped: AbortSignal): Promise<void> {
    const until = this.#clock.elapsed() + LEASE_MS * 1.5
    const before = new Map<string, number>()
    while (!stopped.aborted && this.#clock.elapsed() < until) {
      take(await this.abandoned(Number.POSITIVE_INFINITY))
      let unsure = 0
      for (const { name, pending } of await this.#others()) {
        const uuid = uuidOf(name)
        if (pending === 0 || uuid === undefined || before.get(name) === Number.POSITIVE_INFINITY) continue
        const left = Number(await this.#main.send(leaseOf(uuid), ['PTTL', leaseOf(uuid)]))
        const renewed = left > (before.get(name) ?? Number.POSITIVE_INFINITY)
        before.set(name, renewed ? Number.POSITIVE_INFINITY : left)
        if (!renewed) unsure += 1
      }
      if (unsure === 0) return
      await this.#clock.sleep(200, stopped).catch(() => {})
    }
  }

  /** Takes over from the dead, at most so many entries of each. */
  async abandoned(most: number): Promise<Claimed[]> {
    const claimed: Claimed[] = []
    for (const { name, pending } of await this.#others()) {
      if (name === LEFT) {
        if (pending > 0) claimed.push(...(await this.#takeFrom(name, 0, LEFT_IDLE_MS / 2, most)))
      } else if (uuidOf(name) === undefined) {
        if (pending > 0) claimed.push(...(await this.#takeFrom(name, 1, FOREIGN_IDLE_MS, most)))
      } else if (await this.#isDead(name)) {
        if (pending > 0) claimed.push(...(await this.#takeFrom(name, concurrencyOf(name), 1000, most)))
        else await this.#forget(name)
      }
    }
    return claimed
  }

  async #others(): Promise<Member[]> {
    const consumers = listOf(await this.#main.send(this.#key, ['XINFO', 'CONSUMERS', this.#key, this.#group])).map(recordOf)
    return consumers
      .map(({ name, pending }) => ({ name: String(name), pending: Number(pending) }))
      .filter(({ name }) => name !== this.consumer)
  }

  async #isDead(name: string): Promise<boolean> {
    // Right after an outage the others have not had the time to renew.
    if (this.#main.epoch > 1 && this.#main.upFor < LEASE_MS * 1.5) return false
    const lease = leaseOf(uuidOf(name) ?? '')
    return (await this.#main.send(lease, ['EXISTS', lease])) === 0
  }

  /** The first `begun` of them are counted as tried: the others were read ahead. */
  async #takeFrom(name: string, begun: number, minIdle: number, most: number): Promise<Claimed[]> {
    const pending = await this.#pendingOf(name, ['IDLE', String(minIdle)], most)
    return this.#claim(
      pending.map((one, at) => ({ ...one, attempt: at < begun || name === LEFT ? one.count + 1 : Math.max(1, one.count) })),
      minIdle,
    )
  }

  async #pendingOf(name: string, filter: readonly string[], most: number): Promise<Pending[]> {
    const all: Pending[] = []
    for (let start = '-'; all.length < most; ) {
      const count = Math.min(PAGE, most - all.length)
      const page = pendingOf(
        await this.#main.send(this.#key, ['XPENDING', this.#key, this.#group, ...filter, start, '+', String(count), name]),
      )
      all.push(...page)
      const last = page.at(-1)
      if (!last || page.length < count) break
      start = `(${last.id}`
    }
    return all
  }

  async #claim(pending: readonly (Pending & { readonly attempt: number })[], minIdle: number): Promise<Claimed[]> {
    const claimed: Claimed[] = []
    for (const [attempt, ones] of Map.groupBy(pending, (one) => one.attempt)) {
      for (let at = 0; at < ones.length; at += PAGE) {
        const ids = ones.slice(at, at + PAGE).map(({ id }) => id)
        const rest = ['RETRYCOUNT', String(attempt)]
        const raw = await this.#main.send(this.#key, ['XCLAIM', this.#key, this.#group, this.consumer, String(minIdle), ...ids, ...rest])
        for (const one of listOf(raw)) {
          const entry = entryOf(this.#key, one)
          if (entry) claimed.push({ entry, attempt })
        }
      }
    }
    return claimed
  }

  async #forget(name: string): Promise<void> {
    await this.#main.send(this.#key, ['EVAL', FORGET, '1', this.#key, this.#group, name])
  }
}

const leaseOf = (uuid: string) => `regent:lease:${uuid}`
const uuidOf = (consumer: string) => /^regent:([0-9a-f-]{36}):\d+$/.exec(consumer)?.[1]
const concurrencyOf = (consumer: string) => Number(/:(\d+)$/.exec(consumer)?.[1] ?? 1)
