import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from '../../kernel/clock.ts'

const LOOK_MS = 2000
/** Share of one core over LOOK_MS above which this process is busy. */
const BUSY = 0.06
const MIB = 1024 * 1024
/** Less than this is not worth a pause. */
const GARBAGE = 6 * MIB
/** Above this the pause would be felt; V8 then collects in its own small steps. */
const MOST = 128 * MIB
/** Share of one core that collecting may take in the long run. */
const SHARE = 0.01

type Collect = (options: { readonly type: 'major'; readonly flavor: 'last-resort' }) => void

/**
 * Gives memory back to the system while nothing happens: V8 collects only when it needs room, so that a process which was busy once,
 * if only with its start, keeps that garbage for as long as it is idle. Never while it is busy.
 */
export function collectWhenIdle(clock: Clock): { close(): Promise<void> } {
  let cpu = process.cpuUsage()
  let at = clock.elapsed()
  let notBefore = at
  let kept = 0
  const look = () => {
    const spent = process.cpuUsage(cpu)
    const busy = (spent.user + spent.system) / 1000 / (clock.elapsed() - at) > BUSY
    const used = inUse()
    if (!busy && clock.elapsed() >= notBefore && used - kept > GARBAGE && used < MOST) {
      const begun = clock.elapsed()
      collect()
      notBefore = clock.elapsed() + (clock.elapsed() - begun) / SHARE
      kept = inUse()
    }
    cpu = process.cpuUsage()
    at = clock.elapsed()
    cancel = clock.after(LOOK_MS, look)
  }
  let cancel = clock.after(LOOK_MS, look)
  return {
    async close() {
      cancel()
    },
  }
}

function inUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics()
  return used_heap_size + external_memory
}

/** The flag is taken back at once: it is part of what V8 checks cached code by, and nobody else is to see `gc`. */
function collect(): void {
  setFlagsFromString('--expose-gc')
  try {
    const gc = runInNewContext('gc') as Collect
    // The kind that also makes the young generation small again.
    gc({ type: 'major', flavor: 'last-resort' })
  } finally {
    setFlagsFromString('--no-expose-gc')
  }
}
