import { liveStates } from '../../contract/states.ts'
import type { LifeRow } from '../../ports/store.ts'

/** What has to happen next so that the world matches an agent's intent. */
export type Step =
  | { readonly do: 'nothing' }
  /** A new run; `fresh` when it is no restart after a death, so that the counters begin anew. */
  | { readonly do: 'start'; readonly fresh: boolean }
  | { readonly do: 'stop'; readonly why: string }
  /** Nothing lives: only the word changes to STOPPED. */
  | { readonly do: 'settle' }
  | { readonly do: 'delete' }
  /** Nothing until `retryAt`. */
  | { readonly do: 'wait' }

export interface Situation {
  readonly life: Pick<LifeRow, 'desired' | 'state' | 'start'>
  /** `start` of the life's present or last run; 0 when there never was one. */
  readonly runStart: number
  readonly deleting: boolean
  /** BACKOFF is over. */
  readonly retryDue: boolean
  /** Regent ends, and its agents with it: what lives is stopped, nothing is started; the intents stay for the next Regent. */
  readonly halting: boolean
}

/** Pure: the same situation gives the same step, and performing it brings the world one step nearer. */
export function decide(situation: Situation): Step {
  const step = decideAsWanted(situation)
  if (!situation.halting) return step
  if (step.do === 'start' || step.do === 'wait') return { do: 'nothing' }
  const goesOn = step.do === 'nothing' && liveStates.includes(situation.life.state)
  return goesOn ? { do: 'stop', why: 'stopped with Regent' } : step
}

function decideAsWanted({ life, runStart, deleting, retryDue }: Situation): Step {
  const outdated = runStart < life.start
  switch (life.state) {
    case 'STARTING':
    case 'RUNNING':
    case 'UNKNOWN':
      if (life.desired === 'stopped') return { do: 'stop', why: deleting ? 'deleted' : 'stopped as asked' }
      return outdated ? { do: 'stop', why: 'restarted as asked' } : { do: 'nothing' }
    case 'STOPPING':
      return { do: 'stop', why: 'stopped as asked' }
    case 'BACKOFF':
      if (life.desired === 'stopped') return { do: 'settle' }
      if (outdated) return { do: 'start', fresh: true }
      return retryDue ? { do: 'start', fresh: false } : { do: 'wait' }
    case 'EXITED':
    case 'FATAL':
      if (life.desired === 'stopped') return { do: 'settle' }
      return outdated ? { do: 'start', fresh: true } : { do: 'nothing' }
    case 'STOPPED':
      if (deleting) return { do: 'delete' }
      // Wanted, and not outdated: it was stopped with a Regent before this one.
      return life.desired === 'running' ? { do: 'start', fresh: true } : { do: 'nothing' }
  }
}

/** It lives, and is about to be stopped. */
export function isLeaving({ life, runStart, halting }: Pick<Situation, 'life' | 'runStart' | 'halting'>): boolean {
  if (!liveStates.includes(life.state)) return false
  return halting || life.desired === 'stopped' || life.state === 'STOPPING' || runStart < life.start
}
