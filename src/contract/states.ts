/**
 * The states of a run, in supervisord's words.
 * STOPPED: not running, as asked, or never started. STARTING: launched, not yet alive for startsecs. RUNNING: alive for startsecs.
 * BACKOFF: died, waits for its next start. STOPPING: told to end. EXITED: ended by itself, and its policy does not restart it.
 * FATAL: given up. UNKNOWN: cannot be seen now.
 */
export const runStates = ['STOPPED', 'STARTING', 'RUNNING', 'BACKOFF', 'STOPPING', 'EXITED', 'FATAL', 'UNKNOWN'] as const
export type RunState = (typeof runStates)[number]

/** States in which a process may be alive. */
export const liveStates: readonly RunState[] = ['STARTING', 'RUNNING', 'STOPPING', 'UNKNOWN']

/** What the agent itself is doing; `null` for one that cannot say (a plain command) or does not run. */
export const activities = ['starting', 'working', 'needs_input', 'idle', 'rate_limited', 'stalled'] as const
export type Activity = (typeof activities)[number]

/** unknown: not looked at yet. unhealthy: as many failed looks in a row as its probe allows. */
export const healths = ['unknown', 'healthy', 'unhealthy'] as const
export type Health = (typeof healths)[number]

/** Of a worker. `limited`: its provider stated a limit; it goes on by itself at `retry_at`. */
export const workerStates = ['queued', 'running', 'limited', 'completed', 'failed', 'cancelled'] as const
export type WorkerState = (typeof workerStates)[number]
/** It has not ended. */
export const openWorkerStates: readonly WorkerState[] = ['queued', 'running', 'limited']
