import type { AgentRow } from '../../ports/store.ts'
import { isLeaving } from './decide.ts'
import { type Unmet, unmetOf, waitsFor } from './dependencies.ts'
import { loadRecord } from './situation.ts'
import type { Supervision } from './supervision.ts'

/** What a stop has left for the agent to end by itself, at least, where it had to wait for its dependents'. */
const LEAST_GRACE_MS = 1000

/** A start that waits for the agent's dependencies. */
export interface Waiting {
  readonly reason: string
  readonly unmet: readonly Unmet[]
  /** It will not come by itself. */
  readonly hopeless: boolean
}

type OrderOptions = Pick<Supervision, 'store' | 'clock' | 'healthOf' | 'dependents' | 'halting'>

/** undefined: nothing hinders the agent's start. */
export async function waitingOf(agent: AgentRow, options: OrderOptions): Promise<Waiting | undefined> {
  if (!agent.policy.depends_on) return undefined
  const unmet = await unmetOf(options.store.read, agent, options)
  if (unmet.length === 0) return undefined
  return { reason: waitsFor(unmet), unmet, hopeless: unmet.some(({ trouble }) => trouble !== undefined) }
}

/**
 * Whether a stop that was seen `sinceMs` ago may begin, and the ms that the agent then has to end by itself. Those that depend on it and are
 * to stop too go first, until its grace is over: the grace counts from the request, so a chain of stops takes one grace and not the sum.
 */
export async function stopTurn(
  agent: AgentRow,
  sinceMs: number,
  options: OrderOptions,
): Promise<{ readonly waitMs: number } | { readonly graceMs: number }> {
  const grace = agent.policy.stop_grace * 1000
  const left = grace - sinceMs
  // Before the look, so that no change is missed.
  options.dependents.hold(agent, true)
  if (left > 0 && (await hasLeavingDependents(agent, options))) return { waitMs: left }
  options.dependents.hold(agent, false)
  return { graceMs: Math.max(left, Math.min(grace, LEAST_GRACE_MS)) }
}

/** Whether one that depends on it lives and is about to be stopped. */
async function hasLeavingDependents(agent: AgentRow, { store, dependents, halting }: OrderOptions): Promise<boolean> {
  for (const id of dependents.of(agent)) {
    const record = await loadRecord(store.read, id)
    const condition = record?.agent.policy.depends_on?.[agent.name]?.condition
    if (!record || condition === undefined || condition === 'exited') continue
    if (isLeaving({ life: record.life, runStart: record.run?.start ?? 0, halting: halting() })) return true
  }
  return false
}
