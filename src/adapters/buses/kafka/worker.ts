import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Handler, Incoming } from '../../../ports/bus.ts'
import type { Item, Track } from './track.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000
/** How often at most the broker is told of an attempt while all is well, in ms. */
const MARK_EVERY_MS = 250

export interface WorkerOptions {
  readonly handler: Handler
  readonly concurrency: number
  readonly maxAttempts: number
  readonly clock: Clock
  /** Keeps a message that was given up; resolves when it is safe. */
  readonly bury: (message: Incoming, reason: string, place: string, signal: AbortSignal) => Promise<void>
  /** Tells the broker which attempts have begun; undefined where nobody keeps them. */
  readonly mark: ((track: Track) => Promise<void>) | undefined
  /** A message of this track is done with. */
  readonly onDone: (track: Track) => void
}

/** Hands messages to a handler: in the order of each partition while one is handled at once, with pauses between attempts. */
export class Worker {
  readonly #options: WorkerOptions
  readonly #tracks: Track[] = []
  #busy = 0
  #next = 0

  constructor(options: WorkerOptions) {
    this.#options = options
  }

  add(track: Track): void {
    this.#tracks.push(track)
    this.dispatch()
  }

  remove(track: Track): void {
    const at = this.#tracks.indexOf(track)
    if (at >= 0) this.#tracks.splice(at, 1)
  }

  dispatch(): void {
    while (this.#busy < this.#options.concurrency) {
      const track = this.#ready()
      const item = track?.queue.shift()
      if (!track || !item) return
      this.#busy += 1
      track.busy += 1
      void this.#handle(track, item)
    }
  }

  /** Partitions take turns. */
  #ready(): Track | undefined {
    const { concurrency } = this.#options
    for (let step = 0; step < this.#tracks.length; step++) {
      const at = (this.#next + step) % this.#tracks.length
      const track = this.#tracks[at]
      if (!track || track.queue.length === 0 || track.signal.aborted || track.announcing || (concurrency === 1 && track.retrying > 0))
        continue
      this.#next = at + 1
      return track
    }
    return undefined
  }

  async #handle(track: Track, item: Item): Promise<void> {
    try {
      await this.#attempt(track, item)
    } finally {
      this.#busy -= 1
      track.busy -= 1
      track.settleIdle()
      this.dispatch()
    }
  }

  async #attempt(track: Track, item: Item): Promise<void> {
    const { handler, maxAttempts } = this.#options
    if (item.attempt > maxAttempts) {
      item.attempt = maxAttempts
      await this.#giveUp(track, item, 'its subscriber ended each time while it was handled')
      return
    }
    try {
      if (this.#unannounced(track, item)) await this.#announce(track, item)
      if (track.signal.aborted) return
      const handled = (async () => handler({ ...item.message, attempt: item.attempt }, track.signal))()
      this.#goOn(track)
      await handled
    } catch (error) {
      // One that was cut off by the end of its subscriber has not failed.
      if (track.signal.aborted) return
      if (item.attempt >= maxAttempts) await this.#giveUp(track, item, reasonOf(error))
      else this.#retry(track, item)
      return
    }
    this.#done(track, item)
  }

  /** Costs nothing while much is handled: then it is told now and then. */
  #unannounced(track: Track, { attempt }: Item): boolean {
    const { mark, clock } = this.#options
    return mark !== undefined && (track.careful > 0 || attempt > 1 || clock.elapsed() - track.lastMark >= MARK_EVERY_MS)
  }

  /** So that attempts are counted though they end the process. */
  async #announce(track: Track, item: Item): Promise<void> {
    const { mark, clock } = this.#options
    track.tried(item)
    track.announcing = true
    track.lastMark = clock.elapsed()
    const marked = mark?.(track).catch(() => {})
    // It is on its way when this turn ends; only after a bad end is it worth to wait until it has arrived.
    if (track.careful > 0) await marked
    else await new Promise((resolve) => setImmediate(resolve))
    if (track.careful > 0) track.careful -= 1
  }

  /** What is behind one that was announced begins after it: handlers begin in the order of the partition. */
  #goOn(track: Track): void {
    if (!track.announcing) return
    track.announcing = false
    this.dispatch()
  }

  #retry(track: Track, item: Item): void {
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (item.attempt - 1))
    item.attempt += 1
    track.retrying += 1
    this.#options.clock.after(pause, () => {
      track.retrying -= 1
      if (track.signal.aborted) return
      track.queue.unshift(item)
      this.dispatch()
    })
  }

  async #giveUp(track: Track, item: Item, reason: string): Promise<void> {
    const place = `${track.partition}/${item.offset}`
    try {
      await this.#options.bury({ ...item.message, attempt: item.attempt }, reason, place, track.signal)
    } catch {
      return // Cut off: another subscriber will do it.
    }
    this.#done(track, item)
  }

  #done(track: Track, item: Item): void {
    track.done(item)
    this.#options.onDone(track)
  }
}
