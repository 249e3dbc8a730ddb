import { join } from 'node:path'
import type { Clock } from '../../../kernel/clock.ts'
import type { Logger } from '../../../kernel/logger.ts'

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
}

/** A run keeps `keep` files of `maxBytes` (and up to 2 MiB) beside the present one; all older finished runs of an agent share `maxBytes`. */
export interface LogBounds {
  readonly maxBytes: number
  readonly keep: number
}

export interface Settings {
  readonly dir: string
  readonly agentsDir: string
  /** The wrapper touches a file here after each record it writes. */
  readonly pokesDir: string
  readonly clock: Clock
  readonly logger: Logger
  readonly logs: LogBounds
  readonly shell: string
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
    clock: options.clock,
    logger: options.logger,
    logs: options.logs ?? { maxBytes: 10 * 1024 * 1024, keep: 3 },
    shell: options.shell ?? '/bin/sh',
  }
}
