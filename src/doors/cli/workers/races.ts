import type { RaceState, RaceView, WorkerView } from '../../../contract/workers.ts'
import type { Column } from '../output/table.ts'
import type { Colour, Paint } from '../output/terminal.ts'
import { clean, cleanLines, duration, plural, timeOf } from '../output/text.ts'
import { costOf, ranFor, shortId, whyOf, workerColour } from './views.ts'

export type Attempt = RaceView['attempts'][number]

const raceColours: Readonly<Record<RaceState, Colour>> = {
  running: 'cyan',
  judging: 'cyan',
  decided: 'green',
  failed: 'red',
  cancelled: 'yellow',
}
const raceColour = (state: RaceState): Colour => raceColours[state]

const verdictColours: Partial<Record<Attempt['verdict'], Colour>> = { won: 'green', passed: 'green', refused: 'yellow', failed: 'red' }

export const isRaceOver = ({ state }: Pick<RaceView, 'state'>): boolean => state !== 'running' && state !== 'judging'

const judgeOf = ({ judge }: RaceView): string => {
  if (judge.by === 'model') return judge.model === undefined ? judge.agent : `${judge.agent} ${judge.model}`
  return judge.by === 'first' ? 'first' : judge.command
}

const agentOf = ({ agent, model }: WorkerView): string => (model === null ? agent : `${agent} ${model}`)

export const attemptColumns: readonly Column<Attempt>[] = [
  { title: 'ATTEMPT', value: ({ worker }) => shortId(worker.id) },
  { title: 'AGENT', value: ({ worker }) => agentOf(worker), dropAt: 3 },
  { title: 'STATE', value: ({ worker }) => worker.state, colour: ({ worker }) => workerColour(worker.state) },
  { title: 'VERDICT', value: ({ verdict }) => verdict, colour: ({ verdict }) => verdictColours[verdict] },
  { title: 'SCORE', value: ({ score }) => (score === null ? '-' : String(score)), align: 'right', dropAt: 4 },
  { title: 'TIME', value: ({ worker }) => (worker.started_at === null ? '-' : duration(ranFor(worker))), align: 'right' },
  { title: 'COST', value: ({ worker }) => costOf(worker), align: 'right', dropAt: 5 },
  { title: 'WHY', value: ({ worker }) => whyOf(worker), colour: () => 'dim', least: 16, dropAt: 1 },
]

export const raceColumns: readonly Column<RaceView>[] = [
  { title: 'ID', value: ({ id }) => shortId(id) },
  { title: 'STATE', value: ({ state }) => state, colour: ({ state }) => raceColour(state) },
  { title: 'ATTEMPTS', value: ({ attempts }) => String(attempts.length), align: 'right' },
  { title: 'JUDGE', value: judgeOf, least: 8, dropAt: 2 },
  { title: 'COST', value: costOf, align: 'right', dropAt: 3 },
  { title: 'WINNER', value: ({ winner }) => (winner === null ? '-' : shortId(winner.id)) },
  { title: 'STARTED', value: ({ created_at }) => timeOf(created_at), dropAt: 4 },
  { title: 'PROMPT', value: ({ prompt }) => prompt, least: 16, dropAt: 1 },
]

export const wideRaceColumns: readonly Column<RaceView>[] = [
  { title: 'FULL ID', value: ({ id }) => id },
  { title: 'OWNER', value: ({ owner }) => owner },
  { title: 'NAMESPACE', value: ({ namespace }) => namespace },
  { title: 'REASON', value: ({ reason }) => reason },
]

/** What an attempt has come to, in one line; the same line means that nothing has changed. */
export function attemptLine({ worker, verdict, score }: Attempt, paint: Paint): string {
  const colour = verdictColours[verdict]
  const parts = [
    shortId(worker.id),
    agentOf(worker),
    paint(workerColour(worker.state), worker.state),
    verdict === 'waiting' || verdict === worker.state ? '' : colour ? paint(colour, verdict) : verdict,
    score === null ? '' : `score ${score}`,
    worker.state === 'running' || worker.started_at === null ? '' : duration(ranFor(worker)),
    costOf(worker) === '-' ? '' : costOf(worker),
    clean(whyOf(worker)),
  ]
  return parts.filter((part) => part !== '').join('  ')
}

/** How a race came out: the winner, where its files are, and its answer. */
export function resultLines({ winner, state, reason }: RaceView, paint: Paint): string[] {
  if (winner === null) return [`${paint(raceColour(state), state)}: ${clean(reason)}`]
  return [
    `winner  ${shortId(winner.id)}  ${agentOf(winner)}`,
    ...(winner.cwd === null ? [] : [`folder  ${clean(winner.cwd)}`]),
    ...(winner.branch === null ? [] : [`branch  ${clean(winner.branch)}`]),
    ...(winner.result ? [cleanLines(winner.result).trimEnd()] : []),
  ]
}

export function raceHeadline(race: RaceView, paint: Paint): string {
  const cost = costOf(race) === '-' ? '' : `  ${costOf(race)}`
  return `race ${shortId(race.id)}  ${paint(raceColour(race.state), race.state)}  ${plural(race.attempts.length, 'attempt')}, judged by ${clean(judgeOf(race))}${cost}`
}
