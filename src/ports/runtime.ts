import type { Limits } from '../contract/agents.ts'
import type { LinkInfo } from '../contract/link.ts'
import type { Json } from '../kernel/json.ts'

/** Everything needed to start one run; the same spec again, with the same runId, starts nothing new. */
export interface RunSpec {
  readonly runId: string
  readonly agentId: string
  /** `owner/name`, for people who look at the machine. */
  readonly label: string
  readonly argv: readonly string[]
  readonly cwd: string
  /** The whole environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>
  readonly limits: Limits
  /** Kill what is left of the agent's process group when its main process ends by itself. */
  readonly reapOnExit: boolean
  /** For kinds with a runner: written to `link.json` before the agent starts. */
  readonly link: LinkInfo | null
}

/** Stored as is, read only by its adapter. */
export interface RunHandle {
  readonly runtime: string
  readonly runId: string
  readonly version: number
  readonly state: Json
}

/** How a run ended. `lost`: nobody saw it; treated as a failure, never as success. `at`: epoch ms. */
export type Exit =
  | { readonly kind: 'exited'; readonly code: number; readonly at: number }
  | { readonly kind: 'signalled'; readonly signal: string; readonly code: number; readonly at: number }
  | { readonly kind: 'lost'; readonly reason: string; readonly at: number }

export interface StopOutcome {
  readonly exit: Exit
  /** Pids of the run that are still alive and could not be ended at this machine's stop level. */
  readonly survivors: readonly number[]
}

export interface RunUsage {
  readonly memoryBytes: number | null
  readonly cpuSeconds: number | null
  readonly processes: number | null
}

/** One life. Finished or not, every call is harmless and may be repeated. */
export interface Run {
  readonly handle: RunHandle
  readonly pid: number | null
  /** Epoch ms. */
  readonly startedAt: number
  /** Resolves once, when the main process is gone and its end is recorded. Never rejects. */
  readonly exited: Promise<Exit>
  /** Rewrites link.json for the runner to read at its next reconnect. */
  offerLink(link: LinkInfo): Promise<void>
  /** Refuses (false) when the process is not exactly the recorded one. */
  signal(name: NodeJS.Signals): Promise<boolean>
  /** `signal` to the whole run, KILL after `graceMs`, then until nothing of it is left. Waits for the end. */
  stop(options: { readonly signal: NodeJS.Signals; readonly graceMs: number }): Promise<StopOutcome>
  usage(): Promise<RunUsage>
  /** Forgets a finished run: its directory goes, its log stays within the agent's bounds. */
  remove(): Promise<void>
}

/** One line that an agent printed; `at` is null where the runtime does not know when. */
export interface LogLine {
  readonly runId: string
  readonly stream: 'stdout' | 'stderr'
  readonly at: number | null
  readonly text: string
}

export interface LogQuery {
  /** How many of the last lines; undefined for all that is kept. */
  readonly tail?: number
  /** Goes on with what is printed, over restarts of the agent, until the signal aborts. */
  readonly follow: boolean
}

/** Starts runs somewhere, and finds them again after Regent itself restarted. */
export interface Runtime {
  readonly kind: 'process' | 'docker' | 'swarm'
  readonly can: {
    /** Runs outlive Regent. */
    readonly survivesRestart: boolean
    /** Enforces memory, cpu, pids and open_files of `limits`. */
    readonly limits: boolean
    /** What a stop is sure to end; RELIABILITY.md P4. */
    readonly stopLevel: 'A' | 'B' | 'C' | 'D'
  }
  /** Throws UNAVAILABLE, in words, when runs cannot be started here. */
  check(): Promise<void>
  /** The handle that a run of this id has or will have; needs no I/O, so it is stored before the start. */
  handleOf(runId: string): RunHandle
  /**
   * Starts the run, or finds it when this runId was started before. Resolves once its pid is known.
   * Throws START_FAILED when nothing runs and nothing will (no such program is an exit with 127, not a failure to start).
   */
  start(spec: RunSpec, signal?: AbortSignal): Promise<Run>
  /** The same run, alive or finished with its exit still on record; undefined when it was never started here. Starts nothing. */
  reattach(handle: RunHandle): Promise<Run | undefined>
  /** Every run it can find, finished ones included. */
  list(): Promise<RunHandle[]>
  /** An agent's output, its runs in order. Ends at once for one that never ran. */
  logs(agentId: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine>
  /** Where its log is, for people; null where there is no file. */
  logFile(agentId: string): string | null
  /** All that is kept of an agent without live runs: run directories and logs. */
  forget(agentId: string): Promise<void>
  /** Lets go of everything without ending any run. */
  close(): Promise<void>
}
