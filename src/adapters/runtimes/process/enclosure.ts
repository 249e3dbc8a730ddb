import type { Logger } from '../../../kernel/logger.ts'
import type { Exit, RunUsage } from '../../../ports/runtime.ts'
import { type ProcessKey, signalExactly } from './identity.ts'
import { type Kept, plainLevel } from './kept.ts'
import { insideNamespace } from './pid-namespace.ts'
import type { ProcessTree } from './process-tree.ts'
import { type Reach, reachOf } from './reach.ts'
import type { PidRecord, RunDirectory } from './run-directory.ts'
import { groupUsage, memoryLimit, nothing, oomKills, usageOf } from './usage.ts'

export interface EnclosureContext {
  readonly runId: string
  readonly record: PidRecord | null
  readonly kept: Kept | undefined
  readonly tree: ProcessTree
  readonly logger: Logger
}

/** What stands around one run, found again from what was kept of it. */
export class Enclosure {
  readonly kept: Kept
  readonly reach: Reach
  readonly #context: EnclosureContext

  constructor(context: EnclosureContext) {
    this.#context = context
    this.kept = context.kept ?? { level: plainLevel, groups: {}, account: null, cwd: '/' }
    this.reach = reachOf(this.kept, context)
  }

  /** The agent itself: the recorded process, or the one inside its namespace. Undefined when it is gone. */
  async agent(): Promise<ProcessKey | undefined> {
    const { record, tree } = this.#context
    return record && this.kept.level === 'B' ? insideNamespace(tree, record) : (record ?? undefined)
  }

  /** To the agent itself. False when it is gone. */
  async signal(name: NodeJS.Signals): Promise<boolean> {
    const agent = await this.agent()
    return agent !== undefined && signalExactly(agent, name)
  }

  async usage(): Promise<RunUsage> {
    const { record, tree } = this.#context
    if (!record) return nothing
    return groupUsage(this.kept.groups) ?? usageOf(await tree.stats(), record)
  }

  /** The end, with what its group says about memory; put on record, because the group goes then. */
  withMemory(exit: Exit, directory: RunDirectory): Exit {
    if (exit.kind === 'lost' || exit.code === 0) return exit
    const { groups } = this.kept
    if (!directory.outOfMemory() && oomKills(groups) > 0) directory.declareOutOfMemory(memoryLimit(groups) ?? null)
    const known = directory.outOfMemory()
    return known ? { ...exit, oom: true, ...(known.limit !== null && { memoryLimit: known.limit }) } : exit
  }
}
