import type { Clock } from '../../kernel/clock.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { isOpen } from './worker-moves.ts'

/** What a crew remembers of a worker that is active, or whose end nobody has claimed. */
interface Member {
  readonly id: string
  readonly turn: number
  readonly ended: boolean
  /** Of its end; the order in which ends are told. */
  readonly order: number
}

export interface Lease {
  readonly id: string
  readonly crew: string
  readonly members: readonly Pick<Member, 'id' | 'turn'>[]
}

/** An answer that was not settled by then did not arrive. */
const LEASE_MS = 30_000

export const crewOf = ({ owner, namespace }: { readonly owner: string; readonly namespace: string }): string => `${owner} ${namespace}`

/**
 * Who is active and whose end is unclaimed, by crew; no I/O. What is offered to one waiter is offered to no other until it is claimed, or given
 * back. Claimed ones are in the store alone.
 */
export class Crews {
  readonly #clock: Clock
  readonly #ids: Ids
  readonly #crews = new Map<string, Map<string, Member>>()
  readonly #offered = new Map<string, string>()
  readonly #leases = new Map<string, Lease & { readonly cancel: () => void }>()
  readonly #waiters = new Map<string, Set<() => void>>()
  #order = 0

  constructor(clock: Clock, ids: Ids) {
    this.#clock = clock
    this.#ids = ids
  }

  /** Takes note of how a worker is. */
  note(row: WorkerRow): void {
    const crew = crewOf(row)
    const members = this.#crews.get(crew) ?? new Map<string, Member>()
    const known = members.get(row.id)
    // Told late: it goes on already.
    if (known && known.turn > row.turn) return
    const ended = !isOpen(row)
    if (row.claimed && ended) members.delete(row.id)
    else if (known?.turn !== row.turn || known.ended !== ended) {
      // What was offered was the end of another turn.
      if (known && known.turn !== row.turn) this.#offered.delete(row.id)
      members.set(row.id, { id: row.id, turn: row.turn, ended, order: ++this.#order })
    }
    if (members.size > 0) this.#crews.set(crew, members)
    else this.#crews.delete(crew)
    this.wake(crew)
  }

  /** A place is taken before the store knows of the worker, so that two who come at once do not both get the last one. */
  reserve(crew: string, id: string): void {
    const members = this.#crews.get(crew) ?? new Map<string, Member>()
    this.#crews.set(crew, members.set(id, { id, turn: 1, ended: false, order: ++this.#order }))
  }

  forget(crew: string, id: string): void {
    const members = this.#crews.get(crew)
    members?.delete(id)
    this.#offered.delete(id)
    if (members?.size === 0) this.#crews.delete(crew)
    this.wake(crew)
  }

  /** Active ones and unclaimed ends, but for this one. */
  size(crew: string, but: string): number {
    const members = this.#crews.get(crew)
    return members ? members.size - (members.has(but) ? 1 : 0) : 0
  }

  /** Active members, of these or of all. */
  active(crew: string, among?: ReadonlySet<string>): string[] {
    return this.#members(crew, among)
      .filter(({ ended }) => !ended)
      .map(({ id }) => id)
  }

  /** Whether there is anything to wait for: somebody is active, or an end is unclaimed, offered ones included. */
  hasAny(crew: string, among?: ReadonlySet<string>): boolean {
    return this.#members(crew, among).length > 0
  }

  /** Ends that nobody was offered, in their order. */
  unclaimed(crew: string, among?: ReadonlySet<string>): string[] {
    return this.#members(crew, among)
      .filter(({ id, ended }) => ended && !this.#offered.has(id))
      .sort((one, other) => one.order - other.order)
      .map(({ id }) => id)
  }

  /** Offers these ends to one waiter alone. They are given back when it is not settled in time. */
  offer(crew: string, ids: readonly string[]): Lease {
    const members = ids.flatMap((id) => this.#crews.get(crew)?.get(id) ?? [])
    const lease = { id: this.#ids.next(), crew, members }
    for (const { id } of members) this.#offered.set(id, lease.id)
    const cancel = this.#clock.after(LEASE_MS, () => this.#giveBack(lease))
    this.#leases.set(lease.id, { ...lease, cancel })
    return lease
  }

  /** Whose crew a lease is of; undefined when it was settled, or given back. */
  crewOfLease(id: string): string | undefined {
    return this.#leases.get(id)?.crew
  }

  /** The lease, once; undefined when it was settled, or given back. What it offered stays offered until `release`. */
  take(id: string): Lease | undefined {
    const lease = this.#leases.get(id)
    lease?.cancel()
    this.#leases.delete(id)
    return lease
  }

  /** What was offered is free for the next, where it is not claimed by then. */
  release(lease: Lease): void {
    lease.members.forEach(({ id }) => {
      if (this.#offered.get(id) === lease.id) this.#offered.delete(id)
    })
    this.wake(lease.crew)
  }

  /** Calls `wake` at each change of the crew, until the function that this returns is called. */
  watch(crew: string, wake: () => void): () => void {
    const waiters = this.#waiters.get(crew) ?? new Set()
    this.#waiters.set(crew, waiters.add(wake))
    return () => {
      waiters.delete(wake)
      if (waiters.size === 0 && this.#waiters.get(crew) === waiters) this.#waiters.delete(crew)
    }
  }

  wake(crew: string): void {
    for (const wake of [...(this.#waiters.get(crew) ?? [])]) wake()
  }

  close(): void {
    for (const { cancel } of this.#leases.values()) cancel()
  }

  #giveBack(lease: Lease): void {
    this.#leases.delete(lease.id)
    this.release(lease)
  }

  #members(crew: string, among?: ReadonlySet<string>): Member[] {
    return [...(this.#crews.get(crew)?.values() ?? [])].filter(({ id }) => among === undefined || among.has(id))
  }
}
