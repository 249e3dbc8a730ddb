import type { Incoming } from '../../../ports/bus.ts'

/** How many messages are marked one by one after a consumer that did not end well. */
const CAREFUL = 256
const MOST_TRIES = 50

export interface Item {
  readonly offset: bigint
  readonly message: Omit<Incoming, 'attempt'>
  readonly size: number
  attempt: number
}

/** One partition that this subscriber works on: what was read of it and is not done yet. */
export class Track {
  readonly partition: number
  readonly signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #idle: (() => void)[] = []
  /** What is not done, by offset, in order. */
  readonly #pending = new Set<bigint>()
  /** Attempts that were begun, of those that are told to the broker. */
  readonly #tries = new Map<bigint, number>()
  queue: Item[] = []
  /** Where to read on. */
  position: bigint
  bytes = 0
  busy = 0
  /** Messages that wait for another attempt. */
  retrying = 0
  /** So many are told to the broker before they are handled. */
  careful = 0
  lastMark = 0
  /** The broker is being told of a message that is about to be handled. */
  announcing = false
  committed: bigint

  constructor(partition: number, position: bigint, stop: AbortSignal, metadata = '') {
    this.partition = partition
    this.position = position
    this.committed = position
    this.signal = AbortSignal.any([this.#stop.signal, stop])
    this.#read(metadata)
  }

  /** All before it is done with. */
  get doneUpTo(): bigint {
    for (const offset of this.#pending) return offset
    return this.position
  }

  get waiting(): number {
    return this.queue.length
  }

  take(items: readonly Item[], next: bigint): void {
    for (const item of items) {
      item.attempt = (this.#tries.get(item.offset) ?? 0) + 1
      this.#pending.add(item.offset)
      this.queue.push(item)
      this.bytes += item.size
    }
    this.position = next
  }

  /** Begun an attempt. */
  tried(item: Item): void {
    this.#tries.set(item.offset, item.attempt)
  }

  done(item: Item): void {
    this.#pending.delete(item.offset)
    this.#tries.delete(item.offset)
    this.bytes -= item.size
  }

  /** What is kept with the committed offset: that somebody works here, and the attempts that were begun. */
  metadata(): string {
    const tries = [...this.#tries].slice(0, MOST_TRIES).map(([offset, attempt]) => [offset.toString(), attempt])
    return JSON.stringify({ open: true, ...(tries.length > 0 && { tries: Object.fromEntries(tries) }) })
  }

  /** Ends the work: what runs is told, what waits is forgotten. Resolves when nothing runs, or after `patience` ms. */
  async end(patience: number, abort = true): Promise<void> {
    this.queue = []
    if (abort) this.#stop.abort(new Error('the partition goes to another subscriber'))
    if (this.busy > 0) {
      const idle = new Promise<void>((resolve) => this.#idle.push(resolve))
      await (Number.isFinite(patience) ? Promise.race([idle, after(patience)]) : idle)
    }
    this.#stop.abort(new Error('the partition goes to another subscriber'))
  }

  settleIdle(): void {
    if (this.busy === 0) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #read(metadata: string): void {
    try {
      const { open, tries } = JSON.parse(metadata) as { open?: boolean; tries?: Record<string, number> }
      if (open !== true) return
      this.careful = CAREFUL
      for (const [offset, attempt] of Object.entries(tries ?? {}))
        if (BigInt(offset) >= this.position && Number.isInteger(attempt)) this.#tries.set(BigInt(offset), attempt)
    } catch {
      // Of a stranger, or of one that ended well.
    }
  }
}

const after = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms).unref())
