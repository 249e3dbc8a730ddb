import { z } from 'zod'
import type { RaceState } from '../../contract/workers.ts'
import type { Json } from '../../kernel/json.ts'
import type { RaceRow, WorkerRow } from '../../ports/worker-store.ts'
import { isOpen } from './worker-moves.ts'

/** What a race remembers of each attempt. */
const attempt = z.object({
  worker: z.string(),
  /** The worker that judges it alone. */
  judge: z.string().nullable(),
  verdict: z.enum(['waiting', 'won', 'lost', 'passed', 'refused', 'failed', 'cancelled']),
  score: z.number().nullable(),
})
export type Attempt = z.output<typeof attempt>

export const attemptsOf = ({ attempts }: Pick<RaceRow, 'attempts'>): Attempt[] => z.array(attempt).parse(attempts)
export const asJson = (attempts: readonly Attempt[]): Json => attempts.map((one) => ({ ...one }))

/** The worker that judges all attempts at once, where a model does. */
const commonJudge = ({ data }: Pick<RaceRow, 'data'>): string | null => (typeof data.judge === 'string' ? data.judge : null)

/** What is to happen next in a race. */
export type RaceStep =
  | { readonly do: 'wait'; readonly attempts: readonly Attempt[] }
  /** Each of these attempts has to be judged on its own. */
  | { readonly do: 'judge'; readonly attempts: readonly Attempt[]; readonly which: readonly number[] }
  | { readonly do: 'judge-all'; readonly attempts: readonly Attempt[] }
  | {
      readonly do: 'end'
      readonly attempts: readonly Attempt[]
      readonly state: RaceState
      readonly winner: string | null
      readonly reason: string
    }

type Rows = ReadonlyMap<string, WorkerRow>

/** Decides what to do next, as a function of the race and its workers. */
export function nextStep(race: RaceRow, rows: Rows): RaceStep {
  const attempts = attemptsOf(race).map((one) => judged(race, one, rows))
  switch (race.judge.by) {
    case 'first':
      return firstToEnd(attempts, rows)
    case 'command':
      return byCommand(attempts, rows)
    case 'score':
      return byScore(attempts, rows)
    case 'model':
      return byModel(race, attempts, rows)
  }
}

function judged(race: RaceRow, one: Attempt, rows: Rows): Attempt {
  const worker = rows.get(one.worker)
  if (!worker || worker.state === 'failed') return { ...one, verdict: 'failed' }
  if (worker.state === 'cancelled') return { ...one, verdict: 'cancelled' }
  const judge = one.judge === null ? undefined : rows.get(one.judge)
  if (isOpen(worker) || !judge || isOpen(judge)) return { ...one, verdict: 'waiting' }
  if (judge.state !== 'completed') return { ...one, verdict: 'refused' }
  if (race.judge.by !== 'score') return { ...one, verdict: 'passed' }
  const score = numberAtEnd(judge.result ?? '')
  return score === undefined ? { ...one, verdict: 'refused' } : { ...one, verdict: 'passed', score }
}

const hasAnswered = (one: Attempt, rows: Rows): boolean => rows.get(one.worker)?.state === 'completed'
const endOf = (id: string | null, rows: Rows): number =>
  id === null ? Number.POSITIVE_INFINITY : (rows.get(id)?.endedAt ?? Number.POSITIVE_INFINITY)

function firstToEnd(attempts: readonly Attempt[], rows: Rows): RaceStep {
  const answered = attempts.filter((one) => hasAnswered(one, rows))
  const first = answered.reduce<Attempt | undefined>(
    (best, one) => (best && endOf(best.worker, rows) <= endOf(one.worker, rows) ? best : one),
    undefined,
  )
  if (first) return won(attempts, first, 'it answered first')
  return attempts.some(({ verdict }) => verdict === 'waiting') ? { do: 'wait', attempts } : lost(attempts, 'no attempt has answered')
}

function unjudged(attempts: readonly Attempt[], rows: Rows): number[] {
  return [...attempts.keys()].filter((at) => {
    const one = attempts[at]
    return one !== undefined && one.judge === null && hasAnswered(one, rows)
  })
}

function byCommand(attempts: readonly Attempt[], rows: Rows): RaceStep {
  const passed = attempts.filter(({ verdict }) => verdict === 'passed')
  const first = passed.reduce<Attempt | undefined>(
    (best, one) => (best && endOf(best.judge, rows) <= endOf(one.judge, rows) ? best : one),
    undefined,
  )
  if (first) return won(attempts, first, 'the judge’s command succeeded for it')
  const which = unjudged(attempts, rows)
  if (which.length > 0) return { do: 'judge', attempts, which }
  return attempts.some(({ verdict }) => verdict === 'waiting')
    ? { do: 'wait', attempts }
    : lost(attempts, 'the judge’s command succeeded for none')
}

function byScore(attempts: readonly Attempt[], rows: Rows): RaceStep {
  const which = unjudged(attempts, rows)
  if (which.length > 0) return { do: 'judge', attempts, which }
  if (attempts.some(({ verdict }) => verdict === 'waiting')) return { do: 'wait', attempts }
  const scored = attempts.filter((one): one is Attempt & { score: number } => one.verdict === 'passed' && one.score !== null)
  const best = scored.reduce<(Attempt & { score: number }) | undefined>(
    (top, one) => (top && top.score >= one.score ? top : one),
    undefined,
  )
  return best ? won(attempts, best, `its score is the highest: ${best.score}`) : lost(attempts, 'no attempt has a score')
}

function byModel(race: RaceRow, attempts: readonly Attempt[], rows: Rows): RaceStep {
  if (
    attempts.some((one) => {
      const row = rows.get(one.worker)
      return row !== undefined && isOpen(row)
    })
  )
    return { do: 'wait', attempts }
  const answered = attempts.filter((one) => hasAnswered(one, rows))
  const [only] = answered
  if (!only) return lost(attempts, 'no attempt has answered')
  if (answered.length === 1) return won(attempts, only, 'no other attempt has answered')
  const id = commonJudge(race)
  if (id === null) return { do: 'judge-all', attempts }
  const judge = rows.get(id)
  if (judge && isOpen(judge)) return { do: 'wait', attempts }
  const named = numberAtEnd(judge?.result ?? '')
  const chosen = named === undefined ? undefined : attempts[named - 1]
  if (chosen && hasAnswered(chosen, rows)) return won(attempts, chosen, `the judge named attempt ${named}`)
  return lost(attempts, `the judge named none: ${judge?.failure ?? (judge?.result ?? '').slice(0, 200)}`)
}

/** The last number in a text. */
function numberAtEnd(text: string): number | undefined {
  const found = text.match(/[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?/gi)?.at(-1)
  const value = Number(found)
  return found !== undefined && Number.isFinite(value) ? value : undefined
}

function won(attempts: readonly Attempt[], winner: Attempt, reason: string): RaceStep {
  const told = attempts.map(
    (one): Attempt => ({
      ...one,
      verdict: one.worker === winner.worker ? 'won' : one.verdict === 'waiting' || one.verdict === 'passed' ? 'lost' : one.verdict,
    }),
  )
  return { do: 'end', attempts: told, state: 'decided', winner: winner.worker, reason }
}

const lost = (attempts: readonly Attempt[], reason: string): RaceStep => ({ do: 'end', attempts, state: 'failed', winner: null, reason })
