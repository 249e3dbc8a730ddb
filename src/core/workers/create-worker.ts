import type { Caller } from '../../contract/tokens.ts'
import type { NewWorker } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { crewOf } from './crews.ts'
import { ownerFor } from './find-worker.ts'
import { checkNamed, programOf, turnFor } from './turn-spec.ts'
import { turnOf, workerEvent } from './worker-moves.ts'
import type { WorkerParts } from './worker-parts.ts'
import type { Kept } from './worker-secrets.ts'
import type { Working } from './working.ts'

/** Whose workers may do what Regent may: an admin's own. What he has made for others runs as theirs, for they may give it more to do. */
export const isTrusted = ({ role, user }: Pick<Caller, 'role' | 'user'>, owner: string): boolean => role === 'admin' && user === owner

/** The row of a new worker. Throws INVALID, with the field, for what its CLI cannot be asked. */
export function newRow(
  id: string,
  worker: NewWorker,
  owner: string,
  caller: Pick<Caller, 'role' | 'user'>,
  at: number,
  raceId: string | null,
  kept: Kept,
): WorkerRow {
  const { prompt, namespace, owner: _owner, label, priority, queue: _queue, env: _env, agent, timeout, budget, ...spec } = worker
  return {
    ...{
      id,
      owner,
      namespace,
      label: label ?? null,
      agent,
      spec: { ...spec, env: kept.env },
      secretsId: kept.secretsId,
      budget,
      timeout: Math.round(timeout * 1000),
      priority,
    },
    ...{ state: 'queued', reason: 'waits for its turn', wanted: 'run', claimed: false, turn: 1, prompt },
    ...{ cwd: null, branch: null, sessionId: null, begun: false, trusted: isTrusted(caller, owner) },
    ...{ runId: null, handle: null, pid: null, lines: 0, attempts: 0, retryAt: null, exitCode: null },
    ...{ result: null, failureKind: null, failure: null, errorHint: null, outputFile: null },
    ...{ inputTokens: 0, outputTokens: 0, costUsd: null, ranFor: 0, raceId, createdAt: at, queuedAt: at, startedAt: null, endedAt: null },
  }
}

/** What can be known before anything is on record: its agent, what it is asked, and that its program is there. */
export async function checkNew(row: WorkerRow, env: Readonly<Record<string, string>>, working: Working): Promise<void> {
  const { codingAgents, workerSurroundings } = working
  const agent = codingAgents.get(row.agent)
  if (agent.name === 'command' && row.spec.command === undefined) throw missingCommand()
  if (row.spec.permissions === 'ask' && !agent.can.permissions)
    throw new RegentError('INVALID', `${agent.title} cannot bring its questions to Regent`, {
      fields: [{ path: 'worker.permissions', message: `must be cli for ${agent.name}` }],
    })
  const { argv } = agent.command(turnFor({ row, agent, budgetUsd: row.budget.usd ?? null }, working))
  const place = { env: { ...workerSurroundings.base, ...env }, cwd: row.spec.cwd ?? workerSurroundings.project }
  await programOf(agent, argv[0] ?? '', place.env, place.cwd, working)
  await checkNamed(row, argv, agent, place, working)
}

const missingCommand = (): RegentError =>
  new RegentError('INVALID', 'the agent `command` needs a command', {
    fields: [{ path: 'worker.command', message: 'must name a program and its arguments' }],
    hint: 'write the prompt’s place as {prompt}',
  })

export async function insertWorker(tables: Tables, row: WorkerRow, actor: string): Promise<void> {
  await tables.workers.insert(row)
  await tables.workers.insertTurn(turnOf(row))
  await tables.events.append(
    workerEvent(row, 'worker.queued', row.createdAt, actor, { agent: row.agent, label: row.label, prompt: row.prompt.slice(0, 500) }),
  )
}

export interface Creating {
  readonly worker: NewWorker
  readonly caller: Caller
}

/** Has a new worker put on record by `accept`; the secrets among its variables are kept before. */
export async function createWorker(
  parts: WorkerParts,
  { worker, caller }: Creating,
  accept: (work: (tables: Tables) => Promise<{ id: string }>) => Promise<{ id: string }>,
): Promise<WorkerRow> {
  const { ids, clock, workerSecrets } = parts
  const owner = ownerFor(worker.owner, caller)
  const id = ids.random()
  const plain = newRow(id, worker, owner, caller, clock.now(), null, { env: {}, secretsId: null })
  await checkNew(plain, worker.env, parts)
  return workerSecrets.keeping(owner, worker.env, (kept) =>
    enterWorker(parts, { ...plain, spec: { ...plain.spec, env: kept.env }, secretsId: kept.secretsId }, worker.queue, caller, accept),
  )
}

async function enterWorker(
  { crews, workerLimits, store, workers }: WorkerParts,
  row: WorkerRow,
  queue: boolean,
  caller: Caller,
  accept: (work: (tables: Tables) => Promise<{ id: string }>) => Promise<{ id: string }>,
): Promise<WorkerRow> {
  const crew = crewOf(row)
  let accepted: { id: string } | undefined
  try {
    accepted = await accept(async (tables) => {
      // In one step with the count, so that two who come at once do not both get the last place; a command that is repeated is not counted again.
      if (!queue && crews.size(crew, row.id) >= workerLimits.maxActive)
        throw new RegentError('TOO_MANY', `Max ${workerLimits.maxActive} active workers.`, { hint: 'wait for one, or have it queued' })
      crews.reserve(crew, row.id)
      await insertWorker(tables, row, caller.user)
      return { id: row.id }
    })
  } finally {
    // Refused, or the same command as one before.
    if (accepted?.id !== row.id) crews.forget(crew, row.id)
  }
  const stored = await store.read.workers.get(accepted.id)
  if (!stored) throw new RegentError('NOT_FOUND', 'the worker of this command was forgotten', { details: { what: 'worker' } })
  if (accepted.id === row.id) workers.queued(stored)
  return stored
}
