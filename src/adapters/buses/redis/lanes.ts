import type { Clock } from '../../../kernel/clock.ts'
import { reasonOf } from '../../../kernel/errors.ts'
import type { Handler, Topic } from '../../../ports/bus.ts'
import type { Entry } from './messages.ts'
import { compareIds } from './replies.ts'

const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 10_000

/** An entry on its way through a handler. */
export interface Job {
  readonly entry: Entry
  attempt: number
  running: boolean
}

export interface LanesOptions {
  readonly clock: Clock
  readonly topic: Topic
  readonly handler: Handler
  readonly concurrency: number
  readonly maxAttempts: number
  /** Handled: to be acknowledged. */
  readonly onDone: (job: Job) => void
  /** Failed and to be tried again; `attempt` counts that next try. */
  readonly onRetry: (job: Job) => void
  /** Failed for the last time; what is behind it in its key waits for the answer: false when it could not be put away. */
  readonly onDead: (job: Job, reason: string) => Promise<boolean>
  /** Whether what is held may be begun now; `wake` when that changes. */
  readonly mayBegin: () => boolean
  /** Something was finished. */
  readonly onRoom: () => void
}

/**
 * Hands entries to a handler: so many at once, in the order of the stream, those of one key one after the other, with those that wait
 * for another try.
 */
export class Lanes {
  readonly #o: LanesOptions
  readonly #stop = new AbortController()
  readonly #jobs = new Map<string, Job>()
  #ready: Job[] = []
  /** What waits behind an entry of the same key. */
  readonly #behind = new Map<string, Job[]>()
  readonly #pauses = new Map<Job, () => void>()
  #running = 0
  #bytes = 0
  readonly #idle = Promise.withResolvers<void>()

  constructor(options: LanesOptions) {
    this.#o = options
  }

  /** What runs or could run now. */
  get active(): number {
    return this.#running + this.#ready.length
  }

  /** All that is held. */
  get size(): number {
    return this.#jobs.size
  }

  get bytes(): number {
    return this.#bytes
  }

  has(id: string): boolean {
    return this.#jobs.has(id)
  }

  add(entry: Entry, attempt: number): void {
    if (this.#jobs.has(entry.id)) return
    const job: Job = { entry, attempt, running: false }
    this.#jobs.set(entry.id, job)
    this.#bytes += entry.size
    const { key } = entry.message
    const behind = key === undefined ? undefined : this.#behind.get(key)
    if (behind) {
      behind.push(job)
      return
    }
    if (key !== undefined) this.#behind.set(key, [])
    this.#makeReady(job)
  }

  wake(): void {
    this.#dispatch()
  }

  /** What has not begun. */
  waiting(): readonly string[] {
    return [...this.#jobs.values()].filter((job) => !job.running).map(({ entry }) => entry.id)
  }

  /** Lets go of those of them that have not begun. */
  drop(ids: Iterable<string>): void {
    const dropped = [...ids].map((id) => this.#jobs.get(id)).filter((job) => job !== undefined && !job.running) as Job[]
    for (const job of dropped) {
      this.#ready = this.#ready.filter((one) => one !== job)
      this.#pauses.get(job)?.()
      this.#pauses.delete(job)
      const { key } = job.entry.message
      const behind = key === undefined ? undefined : this.#behind.get(key)
      const at = behind?.indexOf(job) ?? -1
      if (at === -1) this.#finish(job)
      else {
        behind?.splice(at, 1)
        this.#forget(job)
      }
    }
  }

  /** Tells the handlers and waits for them; the answer is what was not done, in order. An attempt that was cut off does not count. */
  async close(): Promise<readonly Job[]> {
    this.#stop.abort(new Error('the subscription was closed'))
    for (const cancel of this.#pauses.values()) cancel()
    this.#pauses.clear()
    this.#ready = []
    if (this.#running > 0) await this.#idle.promise
    return [...this.#jobs.values()].sort((a, b) => compareIds(a.entry.id, b.entry.id))
  }

  #makeReady(job: Job): void {
    let at = this.#ready.length
    while (at > 0 && compareIds(this.#ready[at - 1]?.entry.id ?? '', job.entry.id) > 0) at -= 1
    this.#ready.splice(at, 0, job)
    this.#dispatch()
  }

  #dispatch(): void {
    while (!this.#stop.signal.aborted && this.#running < this.#o.concurrency && this.#ready.length > 0 && this.#o.mayBegin()) {
      const job = this.#ready.shift()
      if (!job) return
      void this.#run(job)
    }
  }

  async #run(job: Job): Promise<void> {
    this.#running += 1
    job.running = true
    const failure = await this.#handle(job)
    if (failure === undefined) {
      this.#o.onDone(job)
      this.#finish(job)
    } else if (!this.#stop.signal.aborted) await this.#failed(job, failure.error)
    job.running = false
    this.#running -= 1
    if (this.#running === 0 && this.#stop.signal.aborted) this.#idle.resolve()
    this.#dispatch()
    this.#o.onRoom()
  }

  async #handle(job: Job): Promise<{ readonly error: unknown } | undefined> {
    try {
      // A turn of its own: a handler may publish, subscribe and close.
      await undefined
      await this.#o.handler({ ...job.entry.message, topic: this.#o.topic, attempt: job.attempt }, this.#stop.signal)
      return undefined
    } catch (error) {
      return { error }
    }
  }

  async #failed(job: Job, error: unknown): Promise<void> {
    if (job.attempt >= this.#o.maxAttempts) {
      if (await this.#o.onDead(job, reasonOf(error))) this.#finish(job)
      return
    }
    const pause = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (job.attempt - 1))
    job.attempt += 1
    this.#o.onRetry(job)
    const cancel = this.#o.clock.after(pause, () => {
      this.#pauses.delete(job)
      this.#makeReady(job)
    })
    this.#pauses.set(job, cancel)
  }

  #finish(job: Job): void {
    this.#forget(job)
    const { key } = job.entry.message
    if (key === undefined) return
    const next = this.#behind.get(key)?.shift()
    if (next) this.#makeReady(next)
    else this.#behind.delete(key)
  }

  #forget(job: Job): void {
    if (this.#jobs.delete(job.entry.id)) this.#bytes -= job.entry.size
  }
}
