import type { Budget } from '../../contract/workers.ts'
import type { Tables } from '../../ports/store.ts'
import type { Spent, WorkerRow } from '../../ports/worker-store.ts'
import type { WorkerLimits } from './working.ts'

const DAY_MS = 86_400_000

/** What a turn may still take; null: no bound. */
export interface Allowance {
  readonly usd: number | null
  readonly tokens: number | null
  /** ms */
  readonly time: number | null
}

/** What an owner's turns of the last 24 hours took. */
export const spentBy = (tables: Tables, owner: string, now: number): Promise<Spent> => tables.workers.spent(owner, now - DAY_MS)

/** What is left for a worker: of its own budget and of its owner's. */
export function allowanceOf(
  row: Pick<WorkerRow, 'budget' | 'inputTokens' | 'outputTokens' | 'costUsd' | 'ranFor'>,
  spent: Spent,
  limits: WorkerLimits,
): Allowance {
  const { budget } = row
  const { ownerBudget } = limits
  return {
    usd: least(left(budget.usd, row.costUsd ?? 0), left(ownerBudget.usd, spent.usd)),
    tokens: least(left(budget.tokens, row.inputTokens + row.outputTokens), left(ownerBudget.tokens, spent.tokens)),
    time: least(left(msOf(budget.seconds), row.ranFor), left(msOf(ownerBudget.seconds), spent.ranFor)),
  }
}

/** Which bound is reached, in words; undefined while there is something left of all. */
export function exhausted({ usd, tokens, time }: Allowance): string | undefined {
  if (usd !== null && usd <= 0) return 'its budget in money is spent'
  if (tokens !== null && tokens <= 0) return 'its budget in tokens is spent'
  if (time !== null && time <= 0) return 'its budget in time is spent'
  return undefined
}

export const hasBudget = (budget: Budget, { ownerBudget }: WorkerLimits): boolean =>
  [budget.usd, budget.tokens, budget.seconds, ownerBudget.usd, ownerBudget.tokens, ownerBudget.seconds].some(
    (bound) => typeof bound === 'number',
  )

const msOf = (seconds: number | null | undefined): number | null => (typeof seconds === 'number' ? seconds * 1000 : null)
const left = (bound: number | null | undefined, used: number): number | null => (typeof bound === 'number' ? bound - used : null)
const least = (one: number | null, other: number | null): number | null =>
  one === null ? other : other === null ? one : Math.min(one, other)
