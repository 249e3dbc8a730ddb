import { readdir, readFile } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Clock } from '../../kernel/clock.ts'
import type { Self, SelfUsage } from '../../ports/self.ts'

const RESOLUTION_MS = 20
const WINDOW_MS = 60_000
/** When nobody asked for so long, timers are no longer watched: nobody pays for what nobody reads. */
const UNASKED_MS = 600_000

/** Numbers of this process. Its timers are watched from the first question on. */
export function createSelf(clock: Clock): Self {
  const startedAt = clock.now() - process.uptime() * 1000
  let watched: { readonly histogram: ReturnType<typeof monitorEventLoopDelay>; since: number } | undefined
  let cancel = () => {}
  const unwatch = () => {
    watched?.histogram.disable()
    watched = undefined
  }
  const lag = (): SelfUsage['lag'] => {
    cancel()
    cancel = clock.after(UNASKED_MS, unwatch)
    if (!watched) {
      watched = { histogram: monitorEventLoopDelay({ resolution: RESOLUTION_MS }), since: clock.elapsed() }
      watched.histogram.enable()
      return null
    }
    const { histogram } = watched
    if (histogram.count === 0) return null
    const found = { mean: late(histogram.mean), p99: late(histogram.percentile(99)), max: late(histogram.max) }
    if (clock.elapsed() - watched.since > WINDOW_MS) {
      histogram.reset()
      watched.since = clock.elapsed()
    }
    return found
  }
  return {
    async usage() {
      const { rss, heapUsed } = process.memoryUsage()
      const [openFiles, openFilesLimit] = await Promise.all([countOpenFiles(), readLimit()])
      return { startedAt, memoryBytes: rss, heapBytes: heapUsed, cpuSeconds: cpuSeconds(), openFiles, openFilesLimit, lag: lag() }
    },
    cpuSeconds,
    async close() {
      cancel()
      unwatch()
    },
  }
}

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

/** ns between two firings of a timer, as s beyond its interval. */
const late = (ns: number): number => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1000)

/** Less the one that the reading itself needs. */
const countOpenFiles = (): Promise<number | null> => readdir('/dev/fd').then(({ length }) => length - 1, unknown)

const readLimit = (): Promise<number | null> =>
  readFile('/proc/self/limits', 'utf8').then((text) => {
    const soft = /^Max open files\s+(\d+)/m.exec(text)?.[1]
    return soft === undefined ? null : Number(soft)
  }, unknown)

/** The system does not tell. */
const unknown = (): null => null
