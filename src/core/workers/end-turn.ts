import { reasonOf } from '../../kernel/errors.ts'
import type { CodingAgent, TokenCount, TurnOutcome, TurnReader } from '../../ports/coding-agents.ts'
import type { Exit } from '../../ports/runtime.ts'
import type { Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { errorHint } from './error-hint.ts'
import { closePermissions } from './permission-rows.ts'
import type { TurnFeed } from './turn-feed.ts'
import { cancelTurn, endData, type Failure, moveWorker, storable } from './worker-moves.ts'
import type { Working } from './working.ts'

/** Why Regent ended a run. */
export type Stopping = { readonly why: 'timeout' } | { readonly why: 'cancel' } | { readonly why: 'budget'; readonly message: string }
/** `at`: epoch ms of the first try. */
export type Stopped = Stopping & { readonly at: number }

export interface Ending {
  readonly row: WorkerRow
  readonly exit: Exit
  readonly agent: CodingAgent
  readonly stopped: Stopped | undefined
  readonly feed: TurnFeed | undefined
  readonly reader: TurnReader | undefined
}

const RESULT_CHARACTERS = 65_536
const STDERR_BYTES = 8192
const LIMIT_STARTS = 50
/** Without a stated time, the first wait; doubled with each, up to the most. */
const LIMIT_FIRST_MS = 30_000
const LIMIT_MOST_MS = 900_000
/** So that those who wait for the same moment do not all start in it. */
const STAGGER_MS = 5000

/** Puts the end of a turn on record with all that it said last. undefined: it is on record already. */
export async function endTurn(ending: Ending, working: Working): Promise<WorkerRow | undefined> {
  const { row, exit, feed, reader } = ending
  const { store, clock } = working
  const code = exit.kind === 'lost' ? null : exit.code
  const stderr = await stderrOf(row, working)
  const outcome = reader?.end({ code, stderr, at: exit.at })
  const outputFile = outcome ? await written(row, outcome.document, working) : null
  const settled = await feed?.settle()
  const now = clock.now()
  return store.transaction(async (tables) => {
    const before = await tables.workers.get(row.id)
    if (before?.state !== 'running' || before.runId !== row.runId) return undefined
    await settled?.write(tables)
    await closePermissions(tables, before, now)
    const columns = columnsOf({ ...ending, row: before }, outcome, { outputFile, code, ...settled?.columns })
    await count(tables, before, columns)
    return conclude(tables, before, { ending, outcome, stderr, columns, now }, working)
  })
}

/** An end is not held back for a file that cannot be written. */
async function written({ id }: WorkerRow, document: string, { workerFiles, logger }: Working): Promise<string | null> {
  try {
    return await workerFiles.writeOutput(id, document)
  } catch (error) {
    logger.error({ worker: id, error: reasonOf(error) }, 'what a worker printed could not be written')
    return null
  }
}

type Columns = Partial<Omit<WorkerRow, 'id' | 'state' | 'reason'>>

interface Conclusion {
  readonly ending: Ending
  readonly outcome: TurnOutcome | undefined
  readonly stderr: string
  readonly columns: Columns
  readonly now: number
}

async function conclude(
  tables: Tables,
  before: WorkerRow,
  { ending, outcome, stderr, columns, now }: Conclusion,
  working: Working,
): Promise<WorkerRow> {
  const code = columns.exitCode ?? null
  const end = { at: now, actor: 'regent' } as const
  if (before.wanted === 'cancel') return cancelTurn(tables, before, now, columns)
  const { stopped } = ending
  if (!stopped && outcome?.limit && before.spec.wait_limits && before.attempts < LIMIT_STARTS) {
    const retryAt = retryTime(before, outcome.limit.until, now, working.random())
    const move = {
      to: 'limited',
      reason: `its provider’s limit is reached; it goes on at ${new Date(retryAt).toISOString()}`,
      ...end,
    } as const
    return moveWorker(tables, before, move, { ...columns, retryAt, attempts: before.attempts + 1 }, { retry_at: retryAt })
  }
  const failure = failureOf(ending, outcome)
  if (!failure) {
    const done = { ...columns, failureKind: null, failure: null, errorHint: null, endedAt: now }
    return moveWorker(tables, before, { to: 'completed', reason: 'has answered', ...end }, done, endData(before, done))
  }
  const failed = {
    ...columns,
    ...{ failureKind: failure.kind, failure: storable(failure.message), endedAt: now },
    errorHint: storable(failure.hint ?? errorHint(failure.kind === 'timeout' ? 'timed out' : stderr, code, failure.message)),
  }
  return moveWorker(tables, before, { to: 'failed', reason: failed.failure, ...end }, failed, endData(before, failed))
}

function columnsOf(
  { row, exit, feed }: Ending,
  outcome: TurnOutcome | undefined,
  known: { readonly outputFile: string | null; readonly code: number | null; readonly lines?: number },
): Columns {
  const tokens = tokensOf(row, outcome, feed)
  const cost = outcome?.costUsd ?? null
  return {
    exitCode: known.code,
    outputFile: known.outputFile,
    ...(known.lines !== undefined && { lines: known.lines }),
    result: outcome ? storable(outcome.text.slice(0, RESULT_CHARACTERS)) : null,
    sessionId: outcome?.sessionId ? storable(outcome.sessionId) : row.sessionId,
    // A session that its CLI never spoke of cannot be gone on with.
    begun: row.begun || feed?.hasSession === true || outcome?.ok === true,
    inputTokens: row.inputTokens + tokens.input,
    outputTokens: row.outputTokens + tokens.output,
    costUsd: cost === null ? row.costUsd : (row.costUsd ?? 0) + cost,
    ranFor: row.ranFor + Math.max(0, exit.at - (row.startedAt ?? exit.at)),
  }
}

/** What this run took: a CLI may count its whole session. */
function tokensOf(row: WorkerRow, outcome: TurnOutcome | undefined, feed: TurnFeed | undefined): TokenCount {
  const tokens = outcome?.tokens ?? feed?.tokens ?? { input: 0, output: 0 }
  if (!outcome?.tokens || !outcome.tokensOfSession) return tokens
  return { input: Math.max(0, tokens.input - row.inputTokens), output: Math.max(0, tokens.output - row.outputTokens) }
}

/** What this run adds to its turn. */
async function count(tables: Tables, before: WorkerRow, columns: Columns): Promise<void> {
  const turn = (await tables.workers.turns(before.id)).find((one) => one.turn === before.turn)
  if (!turn) return
  const cost = (columns.costUsd ?? 0) - (before.costUsd ?? 0)
  await tables.workers.updateTurn(before.id, before.turn, {
    inputTokens: turn.inputTokens + (columns.inputTokens ?? 0) - before.inputTokens,
    outputTokens: turn.outputTokens + (columns.outputTokens ?? 0) - before.outputTokens,
    costUsd: columns.costUsd === null || columns.costUsd === undefined ? turn.costUsd : (turn.costUsd ?? 0) + cost,
    ranFor: turn.ranFor + (columns.ranFor ?? 0) - before.ranFor,
  })
}

function failureOf({ row, exit, agent, stopped: asked }: Ending, outcome: TurnOutcome | undefined): Failure | undefined {
  // It had answered before it was to be ended, as when Regent was down at its time limit.
  const wasOver = asked !== undefined && outcome?.ok === true && exit.kind === 'exited' && exit.at < asked.at
  const stopped = wasOver ? undefined : asked
  const seconds = row.timeout / 1000
  const overdue = row.startedAt !== null && exit.at - row.startedAt >= row.timeout && (exit.kind !== 'exited' || exit.code !== 0)
  // A Regent before this one may have begun the stop.
  if (stopped?.why === 'timeout' || (!stopped && overdue))
    return { kind: 'timeout', message: `${agent.title} process timed out after ${seconds} seconds` }
  if (stopped?.why === 'budget') return { kind: 'budget', message: stopped.message, hint: 'Raise its budget, then resume it.' }
  if (exit.kind === 'lost') return { kind: 'lost', message: `its process was lost: ${exit.reason}` }
  if (outcome?.ok) return undefined
  return outcome?.failure ?? { kind: 'exit', message: `its process ended with code ${exit.code}` }
}

function retryTime({ attempts }: WorkerRow, until: number | null, now: number, random: number): number {
  const stagger = Math.round(random * STAGGER_MS)
  if (until !== null && until > now) return until + stagger
  return now + Math.min(LIMIT_MOST_MS, LIMIT_FIRST_MS * 2 ** attempts) + stagger
}

async function stderrOf(row: WorkerRow, { runtime, logger }: Working): Promise<string> {
  const lines: string[] = []
  try {
    for await (const { text } of runtime.logs(row.id, { run: row.runId ?? '', follow: false, stream: 'stderr', tail: 100 }))
      lines.push(text)
  } catch (error) {
    logger.warn({ worker: row.id, reason: String(error) }, 'what a worker printed on stderr could not be read')
  }
  return Buffer.from(lines.join('\n')).subarray(-STDERR_BYTES).toString('utf8')
}
