import type { WorkerRow } from '../../ports/worker-store.ts'
import type { WorkerLimits } from './working.ts'

/** What the queue needs to know of a worker. */
export type Queued = Pick<WorkerRow, 'id' | 'owner' | 'namespace' | 'agent' | 'priority' | 'queuedAt'>

/** Who waits and who runs: which one may start next. No I/O; of each only what decides. */
export class Queue {
  readonly #limits: WorkerLimits
  readonly #waiting = new Map<string, Queued>()
  readonly #running = new Map<string, Queued>()
  readonly #counts = new Map<string, number>()

  constructor(limits: WorkerLimits) {
    this.#limits = limits
  }

  get size(): { readonly waiting: number; readonly running: number } {
    return { waiting: this.#waiting.size, running: this.#running.size }
  }

  add(worker: Queued): void {
    if (!this.#running.has(worker.id)) this.#waiting.set(worker.id, worker)
  }

  /** It runs already: what was found again after a restart of Regent takes its place whatever the limits say. */
  occupy(worker: Queued): void {
    this.#waiting.delete(worker.id)
    if (this.#running.has(worker.id)) return
    this.#running.set(worker.id, worker)
    for (const key of keysOf(worker)) this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1)
  }

  /** It neither waits nor runs any more. */
  remove(id: string): void {
    this.#waiting.delete(id)
    const worker = this.#running.get(id)
    if (!worker) return
    this.#running.delete(id)
    for (const key of keysOf(worker)) {
      const left = (this.#counts.get(key) ?? 0) - 1
      if (left > 0) this.#counts.set(key, left)
      else this.#counts.delete(key)
    }
  }

  /** The one of the highest priority that may start, of those the one that has waited longest; it runs from now on. */
  take(): string | undefined {
    if (this.#running.size >= this.#limits.running) return undefined
    let best: Queued | undefined
    for (const worker of this.#waiting.values()) if ((!best || comesBefore(worker, best)) && this.#fits(worker)) best = worker
    if (best) this.occupy(best)
    return best?.id
  }

  /** Why it waits, in words; undefined where nothing keeps it. */
  why(worker: Queued): string | undefined {
    if (this.#running.size >= this.#limits.running) return `${this.#limits.running} workers run at once at most`
    return this.#full(worker)
  }

  #fits(worker: Queued): boolean {
    return this.#full(worker) === undefined
  }

  #full({ owner, namespace, agent }: Queued): string | undefined {
    const { runningPerOwner, runningPerNamespace, runningPerAgent } = this.#limits
    const count = (key: string) => this.#counts.get(key) ?? 0
    if (count(`o ${owner}`) >= runningPerOwner) return `${runningPerOwner} workers of ${owner} run at once at most`
    if (count(`n ${owner} ${namespace}`) >= runningPerNamespace)
      return `${runningPerNamespace} workers of its namespace run at once at most`
    const most = runningPerAgent[agent]
    return most !== undefined && count(`a ${agent}`) >= most ? `${most} workers of ${agent} run at once at most` : undefined
  }
}

const keysOf = ({ owner, namespace, agent }: Queued): string[] => [`o ${owner}`, `n ${owner} ${namespace}`, `a ${agent}`]

const comesBefore = (one: Queued, other: Queued): boolean =>
  one.priority === other.priority
    ? one.queuedAt === other.queuedAt
      ? one.id < other.id
      : one.queuedAt < other.queuedAt
    : one.priority > other.priority
