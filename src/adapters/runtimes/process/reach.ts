import { killAll, processesIn } from './cgroup.ts'
import type { Kept } from './kept.ts'
import { insideNamespace } from './pid-namespace.ts'
import type { ProcessStat } from './proc.ts'
import { membersOf, type ProcessTree } from './process-tree.ts'
import type { PidRecord } from './run-directory.ts'

/** How a stop finds and ends one run. */
export interface Reach {
  /** Its live processes now. `thorough`: also those that left its session, where that takes a look at every environment. */
  find(known: Iterable<ProcessStat>, thorough: boolean): Promise<ProcessStat[]>
  /** Waits until there is somebody to hear a signal. */
  readonly ready?: () => Promise<unknown>
  /** Ends all of it in one step; absent where each process has to be signalled. */
  readonly killAll?: () => void
  /** Processes of the run that hear no signal but KILL. */
  readonly deaf?: (stat: ProcessStat) => boolean
  /** Processes of the run that it cannot end. */
  readonly spares?: (stat: ProcessStat) => boolean
  /** Whether somebody may still be found by the output that he holds. */
  readonly byOutput: boolean
}

export interface Whose {
  readonly runId: string
  readonly record: PidRecord | null
  readonly tree: ProcessTree
}

export function reachOf({ level, groups: { all } }: Pick<Kept, 'level' | 'groups'>, whose: Whose): Reach {
  const { record, tree } = whose
  const main = record?.pid
  if (level === 'A' && all) return { find: async () => processesIn(all), killAll: () => killAll(all), byOutput: false }
  const find = byMarks(whose)
  if (level === 'B' && record) {
    // The process on record and the first one of the namespace only wait for the agent; all the others descend from these.
    const deaf = ({ pid, parent }: ProcessStat) => pid === main || parent === main
    return { find, ready: () => insideNamespace(tree, record), deaf, byOutput: false }
  }
  // Right after its start the main process has no group of its own yet.
  if (level === 'D') return { find, spares: ({ pid, group }) => group !== main && pid !== main, byOutput: false }
  return { find, byOutput: true }
}

function byMarks({ runId, record, tree }: Whose): Reach['find'] {
  return async (known, thorough) => membersOf(await (thorough ? tree.full() : tree.stats()), runId, record?.pid ?? null, known)
}
