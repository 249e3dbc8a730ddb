import type { Limits } from '../contract/agents.ts'
import type { LinkInfo } from '../contract/link.ts'
import type { Check } from '../contract/system.ts'
import type { Json, JsonObject } from '../kernel/json.ts'

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
  /** What is absent has the runtime's default, where that has one. */
  readonly limits: Limits
  /** Whose agent it is: runtimes that give each owner an account of its own go by it. */
  readonly owner: string
  /** Kept beside the run, so that the agent can be made anew where the database is lost (`regent recover`). No secrets. */
  readonly record: JsonObject
  /** Folders and files beside the run's own that the agent must be able to read, and folders it must be able to write. */
  readonly needs: { readonly read: readonly string[]; readonly write: readonly string[] }
  /** Kill what is left of the agent's process group when its main process ends by itself. */
  readonly reapOnExit: boolean
  /** Under Regent's own account, whatever accounts agents have: for those who may do what Regent may. */
  readonly ownAccount?: true
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

/**
 * How a run ended. `lost`: nobody saw it; treated as a failure, never as success. `at`: epoch ms. `oom`: it, or a process of it, was killed
 * at its memory limit. `rebooted`: the machine was restarted since it was begun.
 */
export type Exit = (
  | ({ readonly kind: 'exited'; readonly code: number; readonly at: number } & OutOfMemory)
  | ({ readonly kind: 'signalled'; readonly signal: string; readonly code: number; readonly at: number } & OutOfMemory)
  | { readonly kind: 'lost'; readonly reason: string; readonly at: number }
) & { readonly rebooted?: true }

/** `memoryLimit` in bytes, where it is known. */
interface OutOfMemory {
  readonly oom?: true
  readonly memoryLimit?: number
}

export interface StopOutcome {
  readonly exit: Exit
  /** Pids of the run that are still alive and could not be ended at this machine's stop level. */
  readonly survivors: readonly number[]
}

export interface RunUsage {
  readonly memoryBytes: number | null
  readonly cpuSeconds: number | null
  readonly processes: number | null
  readonly openFiles: number | null
}

/** What became of a program that was run beside an agent. */
export interface ExecOutcome {
  /** Its exit code, 128 + n for signal n; null when it was ended at its time limit. */
  readonly code: number | null
  /** The last of what it printed, both streams, at most 4 KiB. */
  readonly output: string
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
  /** When it last printed something, epoch ms; null when it did not yet, or that is not known. */
  lastOutputAt(): Promise<number | null>
  /** Runs a program with the agent's environment, folder and rights, beside it; it is ended after `timeoutMs`, with all it started. */
  exec(argv: readonly string[], options: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<ExecOutcome>
  /** Forgets a finished run: its directory goes, its log stays within the agent's bounds. */
  remove(): Promise<void>
}

/** One line that an agent printed; `at` is null where the runtime does not know when. */
export interface LogLine {
  readonly runId: string
  readonly stream: 'stdout' | 'stderr'
  /** Epoch ms, with fractions. */
  readonly at: number | null
  readonly text: string
}

export interface LogQuery {
  /** How many of the last lines that the other conditions leave; undefined for all that is kept. */
  readonly tail?: number
  /** Goes on with what is printed, over restarts of the agent, until the signal aborts. */
  readonly follow: boolean
  /** Only what was printed at this epoch ms or later. */
  readonly since?: number
  readonly stream?: 'stdout' | 'stderr'
  /** Only lines that hold this text. */
  readonly contains?: string
  /** Only what this run printed; ends with its output, also where it is followed. */
  readonly run?: string
  /** What is given of a line at most, in bytes; default 64 KiB. */
  readonly lineBytes?: number
}

/** Starts runs somewhere, and finds them again after Regent itself restarted. */
export interface Runtime {
  readonly kind: 'process' | 'docker' | 'swarm'
  readonly can: {
    /** Runs outlive Regent. */
    readonly survivesRestart: boolean
    /** Which of `limits` it enforces here. */
    readonly limits: Readonly<Record<keyof Limits, boolean>>
    /** What a stop is sure to end; RELIABILITY.md P4. */
    readonly stopLevel: 'A' | 'B' | 'C' | 'D'
  }
  /** Throws UNAVAILABLE, in words, when runs cannot be started here. */
  check(): Promise<void>
  /** What people should know of it: stop level, limits, whose account agents have, the parts it stands on. */
  checks(): Promise<readonly Check[]>
  /** Called when a part of it, such as the pump of logs, is lost or back again. */
  onPart(listener: (part: { readonly name: string; readonly ok: boolean; readonly message: string }) => void): void
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
  /** What the records of a run say beside it: the agent's, as the start was given it; undefined where there is none. */
  recordOf(handle: RunHandle): Promise<JsonObject | undefined>
  /** What live runs take, by run id, in one look. */
  usages(): Promise<ReadonlyMap<string, RunUsage>>
  /** An agent's output, its runs in order. Ends at once for one that never ran. */
  logs(agentId: string, query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine>
  /** Where its log is, for people; null where there is no file. */
  logFile(agentId: string, stream?: 'stdout' | 'stderr'): string | null
  /** Forgets what an agent printed until now; what runs prints on. */
  clearLogs(agentId: string): Promise<void>
  /** All that is kept of an agent without live runs: run directories and logs. */
  forget(agentId: string): Promise<void>
  /** Lets go of everything without ending any run. */
  close(): Promise<void>
}
