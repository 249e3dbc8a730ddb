import type { LinkInfo } from '../../contract/link.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { CodingAgents } from '../../ports/coding-agents.ts'
import type { Runtime } from '../../ports/runtime.ts'
import type { Store } from '../../ports/store.ts'
import type { WorkerFiles } from '../../ports/worker-files.ts'
import type { Worktrees } from '../../ports/worktrees.ts'
import type { WorkerSecrets } from './worker-secrets.ts'

export interface WorkerLimits {
  /** Active ones of a crew, beyond which one that may not wait in the queue is refused. */
  readonly maxActive: number
  /** Running at once. */
  readonly running: number
  readonly runningPerOwner: number
  readonly runningPerNamespace: number
  readonly runningPerAgent: Readonly<Record<string, number>>
  /** What an owner may spend in 24 hours; null: no bound. */
  readonly ownerBudget: { readonly usd: number | null; readonly tokens: number | null; readonly seconds: number | null }
  /** ms after which an ended and claimed one is forgotten; null keeps it. */
  readonly keptMs: number | null
}

/** What an environment starts from. */
export interface WorkerSurroundings {
  /** PATH, HOME, LANG and so on of Regent itself. */
  readonly base: Readonly<Record<string, string>>
  /** Keys and addresses of models, for those who may do what Regent may. */
  readonly models: Readonly<Record<string, string>>
  /** Where one works that names no folder. */
  readonly project: string
  /** The program that brings permission prompts to Regent. */
  readonly asker: { readonly command: string; readonly args: readonly string[] }
}

/** What the parts of this room share. */
export interface Working {
  readonly store: Store
  readonly runtime: Runtime
  readonly workerSecrets: WorkerSecrets
  readonly codingAgents: CodingAgents
  readonly workerFiles: WorkerFiles
  readonly worktrees: Worktrees
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  /** In [0,1). */
  readonly random: () => number
  readonly linkOf: (runId: string) => LinkInfo
  readonly workerLimits: WorkerLimits
  readonly workerSurroundings: WorkerSurroundings
}
