import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Runtime, RunUsage } from '../../ports/runtime.ts'
import type { Self } from '../../ports/self.ts'
import type { Store } from '../../ports/store.ts'
import type { Handlers } from '../handling.ts'
import type { Observed } from './observed.ts'

export interface ResourcesOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly observed: Observed
  readonly clock: Clock
  readonly logger: Logger
  readonly self: Pick<Self, 'cpuSeconds'>
}

/** Whoever asks sooner after a look is served from it. */
const FRESH_MS = 1000
/** Without anybody asking, so that the first who asks is told what was used lately; never costlier than this share of one core, */
const BACKGROUND_MS = 15_000
const BACKGROUND_SHARE = 1 / 400
/** nor rarer than this. */
const RAREST_MS = 60_000
/** While somebody asks, looks cost at most this share, */
const SHARE = 1 / 100
/** but numbers get no older than this. */
const OLDEST_MS = 30_000
/** Who asks is kept waiting no longer; then the numbers of the look before must do. */
const PATIENCE_MS = 250

interface Seen {
  readonly runId: string
  readonly elapsed: number
  readonly cpuSeconds: number | null
}

/** Looks what live agents take, all in one look that every caller shares, and tells it to `Observed`. */
export class Resources {
  readonly #o: ResourcesOptions
  #seen = new Map<string, Seen>()
  #looking: Promise<void> | undefined
  #nextElapsed = 0
  /** CPU time of the last look. */
  #costMs = 0
  #cancel = (): void => {}
  #closed = false

  constructor(options: ResourcesOptions) {
    this.#o = options
  }

  /** Looks now, and again every so often. */
  begin(): void {
    void this.look()
    this.#again(BACKGROUND_MS)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  /** Resolves when the numbers are fresh, or as fresh as they can be had in `PATIENCE_MS`. Never rejects. */
  async look(): Promise<void> {
    if (this.#closed || (this.#looking === undefined && this.#o.clock.elapsed() < this.#nextElapsed)) return
    this.#looking ??= this.#take().finally(() => {
      this.#looking = undefined
    })
    let cancel = () => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.#o.clock.after(PATIENCE_MS, resolve)
    })
    await Promise.race([this.#looking, late])
    cancel()
  }

  #again(ms: number): void {
    this.#cancel = this.#o.clock.after(ms, () => {
      void this.look()
      this.#again(Math.min(RAREST_MS, Math.max(BACKGROUND_MS, this.#costMs / BACKGROUND_SHARE)))
    })
  }

  async #take(): Promise<void> {
    const { store, runtime, clock, logger, self } = this.#o
    const begun = clock.elapsed()
    const before = self.cpuSeconds()
    try {
      const [usages, lives] = await Promise.all([runtime.usages(), store.read.lives.list()])
      this.#tell(usages, new Map(lives.flatMap(({ agentId, runId }) => (runId === null ? [] : [[runId, agentId] as const]))))
    } catch (error) {
      logger.warn({ error: reasonOf(error) }, 'what agents take cannot be seen')
    }
    // What else Regent did meanwhile counts too: then it has better things to do than to look again soon.
    this.#costMs = (self.cpuSeconds() - before) * 1000
    this.#nextElapsed = begun + Math.min(OLDEST_MS, Math.max(FRESH_MS, this.#costMs / SHARE))
  }

  #tell(usages: ReadonlyMap<string, RunUsage>, agentOf: ReadonlyMap<string, string>): void {
    const { observed, clock } = this.#o
    const seen = new Map<string, Seen>()
    const elapsed = clock.elapsed()
    for (const [runId, usage] of usages) {
      const agentId = agentOf.get(runId)
      if (agentId === undefined) continue
      observed.setResources(agentId, {
        at: clock.now(),
        memory_bytes: usage.memoryBytes,
        cpu_percent: percentOf(this.#seen.get(agentId), { runId, elapsed, cpuSeconds: usage.cpuSeconds }),
        cpu_seconds: usage.cpuSeconds,
        processes: usage.processes,
        open_files: usage.openFiles,
      })
      seen.set(agentId, { runId, elapsed, cpuSeconds: usage.cpuSeconds })
    }
    for (const agentId of this.#seen.keys()) if (!seen.has(agentId)) observed.clearResources(agentId)
    this.#seen = seen
  }
}

/** Of one core, with a tenth; null for the first look at a run. A process that ended takes its seconds along: never below 0. */
function percentOf(before: Seen | undefined, now: Seen): number | null {
  if (before?.runId !== now.runId || before.cpuSeconds === null || now.cpuSeconds === null || now.elapsed <= before.elapsed) return null
  const share = (now.cpuSeconds - before.cpuSeconds) / ((now.elapsed - before.elapsed) / 1000)
  return Math.max(0, Math.round(share * 1000) / 10)
}

/** Whoever reads agents is told fresh numbers. */
export function lookingFirst<H extends Handlers<'agents.list' | 'agents.get'>>(handlers: H, resources: Resources): H {
  return {
    ...handlers,
    'agents.list': (input, handling) => resources.look().then(() => handlers['agents.list'](input, handling)),
    'agents.get': (input, handling) => resources.look().then(() => handlers['agents.get'](input, handling)),
  } satisfies H
}
