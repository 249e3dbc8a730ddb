import type { ApprovalView } from '../../contract/approvals.ts'
import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, ApprovalRow, Store } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { findAgent, mayTouch } from '../agents/find.ts'
import type { Links } from '../conversations/links.ts'
import type { Journal } from '../events/journal.ts'
import type { Handlers } from '../handling.ts'
import type { Permissions } from '../workers/permissions.ts'

export interface ApprovalOptions {
  readonly store: Store
  readonly journal: Journal
  readonly links: Pick<Links, 'answer'>
  readonly permissions: Pick<Permissions, 'answer'>
}

type Names = 'approvals.list' | 'approvals.get' | 'approvals.approve' | 'approvals.reject'

/** How long an accepted answer may take to stand in the store before it is told from what the runner said. */
const SETTLE_MS = 2000

export function approvalOperations(options: ApprovalOptions): Handlers<Names> {
  const { store } = options
  return {
    async 'approvals.list'({ agent, state, limit }, { caller }) {
      const agents = agent === undefined ? await visible(store, caller) : [await findAgent(store.read, agent, caller)]
      const whose = agents && {
        agentIds: agents.map((row) => row.id),
        ...(agent === undefined && { workerIds: await ownWorkers(store, caller) }),
      }
      const rows = await store.read.approvals.list({ limit, ...whose, ...(state !== 'all' && { state }) })
      return { approvals: await Promise.all(rows.map(async (row) => viewOf(await subjectOf(store, row), row))) }
    },
    async 'approvals.get'({ id }, { caller }) {
      const { subject, row } = await find(store, id, caller)
      return viewOf(subject, row)
    },
    'approvals.approve': ({ id }, { caller }) => answer(options, id, true, caller),
    'approvals.reject': ({ id }, { caller }) => answer(options, id, false, caller),
  }
}

/** undefined: all of them. */
async function visible(store: Store, caller: Caller): Promise<AgentRow[] | undefined> {
  return caller.role === 'admin' ? undefined : store.read.agents.list({ owner: caller.user })
}

/** How far back the questions of a user's workers are found. */
const WORKERS = 1000

async function ownWorkers(store: Store, { user }: Caller): Promise<string[]> {
  return (await store.read.workers.list({ owner: user, limit: WORKERS })).map(({ id }) => id)
}

/** Who asks. */
type Subject = { readonly agent: AgentRow } | { readonly worker: WorkerRow }

async function subjectOf(store: Store, { agentId, workerId }: ApprovalRow): Promise<Subject | undefined> {
  const agent = agentId === null ? undefined : await store.read.agents.get(agentId)
  if (agent) return { agent }
  const worker = workerId === null ? undefined : await store.read.workers.get(workerId)
  return worker && { worker }
}

const ownerOf = (subject: Subject): string => ('agent' in subject ? subject.agent.owner : subject.worker.owner)

/** By id or unique prefix of 4 or more characters. */
async function find(store: Store, id: string, caller: Caller): Promise<{ subject: Subject; row: ApprovalRow }> {
  const row = (await store.read.approvals.get(id)) ?? (await byPrefix(store, id, caller))
  const subject = row && (await subjectOf(store, row))
  if (!row || !subject || !mayTouch(caller, ownerOf(subject)))
    throw new RegentError('NOT_FOUND', `there is no approval '${id}'`, {
      hint: 'list the ones that wait with: regent approvals',
      details: { what: 'approval' },
    })
  return { subject, row }
}

async function byPrefix(store: Store, prefix: string, caller: Caller): Promise<ApprovalRow | undefined> {
  if (prefix.length < 4) return undefined
  const agents = await visible(store, caller)
  const rows = await store.read.approvals.list({
    limit: 500,
    state: 'pending',
    ...(agents && { agentIds: agents.map((agent) => agent.id), workerIds: await ownWorkers(store, caller) }),
  })
  const found = rows.filter((row) => row.id.startsWith(prefix))
  if (found.length > 1)
    throw new RegentError('AMBIGUOUS', `'${prefix}' begins the id of ${found.length} approvals`, { hint: 'give more of the id' })
  return found[0]
}

/** Brings a yes or a no to the agent. Throws TOO_LATE, with what was decided, for one that is closed. */
async function answer(
  { store, journal, links, permissions }: ApprovalOptions,
  id: string,
  confirmed: boolean,
  caller: Caller,
): Promise<ApprovalView> {
  const { subject, row } = await find(store, id, caller)
  if ('worker' in subject) return viewOf(subject, await permissions.answer(subject.worker, row.id, confirmed, caller))
  const { agent } = subject
  if (row.state !== 'pending') throw tooLate(row.state === 'confirmed', row.answeredBy)
  const from = journal.newest
  const told = await links.answer(agent.id, row.id, confirmed, caller.user, caller.via)
  if (told.outcome === 'unknown')
    throw new RegentError('TOO_LATE', 'the agent no longer waits for this answer', { details: { what: 'approval' } })
  if (told.outcome === 'late') throw tooLate(told.confirmed === true, told.by)
  await closed(journal, agent.id, row.id, from)
  const after = (await store.read.approvals.get(row.id)) ?? row
  return viewOf(
    subject,
    after.state === 'pending' ? { ...after, state: confirmed ? 'confirmed' : 'rejected', answeredBy: caller.user, via: caller.via } : after,
  )
}

async function closed(journal: Journal, agentId: string, id: string, from: number): Promise<void> {
  for await (const item of journal.read(from, { agentId, types: ['approval.answered'] }, AbortSignal.timeout(SETTLE_MS)))
    if (item.kind === 'resync' || item.event.data.id === id) return
}

function tooLate(confirmed: boolean, by: string | null): RegentError {
  const what = confirmed ? 'confirmed' : 'rejected'
  return new RegentError('TOO_LATE', `too late: it was ${what} already${by === null ? '' : ` by ${by}`}`, {
    details: { what: 'approval', confirmed, by },
  })
}

const nameOf = (subject: Subject | undefined): string => {
  if (!subject) return ''
  if ('agent' in subject) return `${subject.agent.owner}/${subject.agent.name}`
  return `${subject.worker.owner}/worker ${subject.worker.id.slice(0, 8)}`
}

function viewOf(subject: Subject | undefined, row: ApprovalRow): ApprovalView {
  return {
    id: row.id,
    agent: nameOf(subject),
    agent_id: row.agentId,
    worker_id: row.workerId,
    subagent: row.subagent,
    message_id: row.messageId,
    server: row.server,
    tool: row.tool,
    arguments: { ...row.arguments },
    state: row.state,
    default: row.default,
    requested_at: row.requestedAt,
    expires_at: row.expiresAt,
    answered_at: row.answeredAt,
    answered_by: row.answeredBy,
    via: row.via,
  }
}
