import type { EventType } from '../../contract/events.ts'
import type { RunState } from '../../contract/states.ts'
import { RegentError } from '../../kernel/errors.ts'

/**
 * STOPPED → STARTING → RUNNING → STOPPING → STOPPED, the way of a life that goes as asked.
 * STARTING → BACKOFF → STARTING … → FATAL for one that dies before startsecs; RUNNING → EXITED (→ BACKOFF | STARTING) for one that ends by itself.
 * UNKNOWN is reached from any live state while its runtime cannot be asked, and left for what is seen then.
 */
const next: Readonly<Record<RunState, readonly RunState[]>> = {
  STOPPED: ['STARTING'],
  STARTING: ['RUNNING', 'BACKOFF', 'EXITED', 'FATAL', 'STOPPING', 'STOPPED', 'UNKNOWN'],
  RUNNING: ['STOPPING', 'EXITED', 'UNKNOWN'],
  BACKOFF: ['STARTING', 'STOPPED', 'FATAL'],
  STOPPING: ['STOPPED', 'UNKNOWN'],
  EXITED: ['STARTING', 'BACKOFF', 'STOPPED', 'FATAL'],
  FATAL: ['STARTING', 'STOPPED'],
  UNKNOWN: ['STARTING', 'RUNNING', 'STOPPING', 'STOPPED', 'EXITED', 'BACKOFF', 'FATAL'],
}

const told: Readonly<Record<RunState, EventType>> = {
  STOPPED: 'run.stopped',
  STARTING: 'run.starting',
  RUNNING: 'run.running',
  BACKOFF: 'run.backoff',
  STOPPING: 'run.stopping',
  EXITED: 'run.exited',
  FATAL: 'run.fatal',
  UNKNOWN: 'run.unknown',
}

export interface StateChange {
  readonly from: RunState
  readonly to: RunState
  readonly reason: string
  readonly at: number
  readonly event: EventType
}

/** The only way a run changes state: throws ILLEGAL_STATE, else returns the change to store and tell. */
export function moveTo(from: RunState, to: RunState, reason: string, at: number): StateChange {
  if (!next[from].includes(to)) throw new RegentError('ILLEGAL_STATE', `a run cannot go from ${from} to ${to} (${reason})`)
  return { from, to, reason, at, event: told[to] }
}

/** Every legal move, for tests and docs. */
export const legalMoves = next
