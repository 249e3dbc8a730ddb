import { RegentError } from '../../../kernel/errors.ts'
import type { RunWatch } from './exits.ts'
import { bootId, isAlive, signalExactly, statOf, worksFor } from './identity.ts'
import type { Settings } from './options.ts'
import { membersOf, type ProcessTree } from './process-tree.ts'
import type { PidRecord, RunDirectory } from './run-directory.ts'

const GRACE_MS = 1000
const POLL_MS = 50
const DEADLINE_MS = 30_000

/**
 * The pid record of a claimed run; null once it is sure that none will come. A claim without one and without an end is given
 * up as lost after a grace in which nobody was seen to work for it. Throws TIMED_OUT while somebody does and gets nowhere.
 */
export async function awaitPid(settings: Settings, watch: RunWatch, tree: ProcessTree, directory: RunDirectory): Promise<PidRecord | null> {
  const known = () => {
    const over = directory.exitCode() ?? directory.lost()
    return directory.pid() ?? (over ? null : undefined)
  }
  const at = known()
  if (at !== undefined) return at
  const { clock } = settings
  let poked = Promise.withResolvers<void>()
  const look = () => {
    poked.resolve()
    poked = Promise.withResolvers()
  }
  watch.add(directory.runId, look)
  try {
    const begun = clock.elapsed()
    for (let quietSince = begun; clock.elapsed() - begun < DEADLINE_MS; ) {
      await Promise.race([poked.promise, clock.sleep(POLL_MS)])
      const found = known()
      if (found !== undefined) return found
      if (await someoneWorksFor(tree, directory)) quietSince = clock.elapsed()
      else if (clock.elapsed() - quietSince >= GRACE_MS) return giveUp(directory)
    }
    throw new RegentError('TIMED_OUT', `run ${directory.runId} is being started, and does not get on`)
  } finally {
    watch.remove(directory.runId, look)
  }
}

/** How long a pump gets to take what a finished run printed last. */
const HANDED_OVER_MS = 2000

/**
 * Waits until the log pump has the output of a finished run, and its wrapper, which keeps it until then, is gone. Without a pump it
 * goes with what nobody will find any more.
 */
export async function outputHandedOver(clock: Settings['clock'], directory: RunDirectory, record: PidRecord | null): Promise<void> {
  if (!record || record.bootId !== bootId()) return
  const begun = clock.elapsed()
  while (worksFor(record.wrapperPid, directory.path)) {
    const wrapper = clock.elapsed() - begun > HANDED_OVER_MS ? statOf(record.wrapperPid) : undefined
    if (wrapper) signalExactly(wrapper, 'SIGKILL')
    await clock.sleep(5)
  }
}

async function someoneWorksFor(tree: ProcessTree, directory: RunDirectory): Promise<boolean> {
  const snapshot = await tree.full()
  if (membersOf(snapshot, directory.runId, null, []).length > 0) return true
  return [...snapshot.processes.keys()].some((pid) => worksFor(pid, directory.path))
}

/** An agent's process records its pid before it looks for this declaration, so one of the two sees the other. */
function giveUp(directory: RunDirectory): PidRecord | null {
  directory.declareLost('its wrapper was gone before the agent was started')
  const late = directory.pid()
  if (late && isAlive(late)) signalExactly(late, 'SIGKILL')
  return late ?? null
}
