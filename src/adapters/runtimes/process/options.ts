import { join } from 'node:path'
import type { Limits } from '../../../contract/agents.ts'
import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { type Confine, ownSession } from './confinement.ts'
import type { WantedLevel } from './kept.ts'
import type { EndBy } from './run-groups.ts'

export interface ProcessRuntimeOptions {
  /** Holds one directory for each run. */
  readonly dir: string
  /** Holds `{agentId}/runs/`, the order of an agent's runs and the logs of those that were removed. */
  readonly agentsDir: string
  readonly clock: Clock
  readonly logger: Logger
  readonly logs?: LogBounds
  /** The POSIX shell that runs the wrapper. */
  readonly shell?: string
  /** What stands around each run; undefined: a session of its own. */
  readonly confine?: Confine
  /** How a stop is to find all of a run; undefined or `auto`: the best way there is. */
  readonly stopLevel?: WantedLevel
  /** How a cgroup is ended; `auto` by what costs a start least. */
  readonly endBy?: EndBy
  /** Whose account agents have: `auto`, `same`, `per-owner` or a name; undefined: Regent's own. */
  readonly user?: string
  /** What every agent must be able to read: Node, and Regent's own code. */
  readonly basics?: readonly string[]
  /** Folders of Regent in which agents that have an account of their own may be let through. */
  readonly passable?: readonly string[]
  /** Of runs that name none. */
  readonly limits?: Limits
}

/**
 * A run keeps `keep` files of `maxBytes` beside the present one for each stream, and for both together no more than one stream may have
 * (and up to 2 MiB for each file); all older finished runs of an agent share `maxBytes`. What is older than `maxAgeMs` goes; null keeps it.
 */
export interface LogBounds {
  readonly maxBytes: number
  readonly keep: number
  readonly maxAgeMs?: number | null
}

export interface Settings {
  readonly dir: string
  readonly agentsDir: string
  /** The wrapper touches a file here after each record it writes. */
  readonly pokesDir: string
  /** What the log pump says of itself. */
  readonly pumpDir: string
  readonly clock: Clock
  readonly logger: Logger
  readonly logs: Required<LogBounds>
  readonly shell: string
  readonly confine: Confine
  readonly limits: Limits
}

/** How many finished runs of an agent keep their directory. */
export const KEPT_RUNS = 20
/** What the wrapper finds its few tools in; never handed to the agent. */
export const WRAPPER_PATH = '/usr/local/bin:/usr/bin:/bin:/run/current-system/sw/bin'

export function settingsOf(options: ProcessRuntimeOptions): Settings {
  return {
    dir: options.dir,
    agentsDir: options.agentsDir,
    pokesDir: join(options.dir, '.pokes'),
    pumpDir: join(options.dir, '.pump'),
    clock: options.clock,
    logger: options.logger,
    logs: { maxAgeMs: null, ...(options.logs ?? { maxBytes: 10 * 1024 * 1024, keep: 3 }) },
    shell: options.shell ?? '/bin/sh',
    confine: options.confine ?? ownSession,
    limits: options.limits ?? {},
  }
}
