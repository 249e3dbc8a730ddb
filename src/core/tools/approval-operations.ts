import type { ApprovalView } from '../../contract/approvals.ts'
import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, ApprovalRow, Store } from '../../ports/store.ts'
import { findAgent, mayTouch } from '../agents/find.ts'
import type { Links } from '../conversations/links.ts'
import type { Journal } from '../events/journal.ts'
import type { Handlers } from '../handling.ts'

export interface ApprovalOptions {
  readonly store: Store
  readonly journal: Journal
  readonly links: Pick<Links, 'answer'>
}

type Names = 'approvals.list' | 'approvals.get' | 'approvals.approve' | 'approvals.reject'

/** How long an accepted answer may take to stand in the store before it is told from what the runner said. */
const SETTLE_MS = 2000

export function approvalOperations(options: ApprovalOptions): Handlers<Names> {
  const { store } = options
  return {
    async 'approvals.list'({ agent, state, limit }, { caller }) {
      const agents = agent === undefined ? await visible(store, caller) : [await findAgent(store.read, agent, caller)]
      const ids = agents?.map((row) => row.id)
      const rows = await store.read.approvals.list({ limit, ...(ids && { agentIds: ids }), ...(state !== 'all' && { state }) })
      return { approvals: await Promise.all(rows.map(async (row) => viewOf(await agentOf(store, row), row))) }
    },
    async 'approvals.get'({ id }, { caller }) {
      const { agent, row } = await find(store, id, caller)
      return viewOf(agent, row)
    },
    'approvals.approve': ({ id }, { caller }) => answer(options, id, true, caller),
    'approvals.reject': ({ id }, { caller }) => answer(options, id, false, caller),
  }
}

/** undefined: all of them. */
async function visible(store: Store, caller: Caller): Promise<AgentRow[] | undefined> {
  return caller.role === 'admin' ? undefined : store.read.agents.list({ owner: caller.user })
}

async function agentOf(store: Store, row: ApprovalRow): Promise<AgentRow | undefined> {
  return store.read.agents.get(row.agentId)
}

/** By id or unique prefix of 4 or more characters. */
async function find(store: Store, id: string, caller: Caller): Promise<{ agent: AgentRow; row: ApprovalRow }> {
  const row = (await store.read.approvals.get(id)) ?? (await byPrefix(store, id, caller))
  const agent = row && (await agentOf(store, row))
  if (!row || !agent || !mayTouch(caller, agent.owner))
    throw new RegentError('NOT_FOUND', `there is no approval '${id}'`, {
      hint: 'list the ones that wait with: regent approvals',
      details: { what: 'approval' },
    })
  return { agent, row }
}

async function byPrefix(store: Store, prefix: string, caller: Caller): Promise<ApprovalRow | undefined> {
  if (prefix.length < 4) return undefined
  const agents = await visible(store, caller)
  const rows = await store.read.approvals.list({
    limit: 500,
    state: 'pending',
    ...(agents && { agentIds: agents.map((agent) => agent.id) }),
  })
  const found = rows.filter((row) => row.id.startsWith(prefix))
  if (found.length > 1)
    throw new RegentError('AMBIGUOUS', `'${prefix}' begins the id of ${found.length} approvals`, { hint: 'give more of the id' })
  return found[0]
}

/** Brings a yes or a no to the agent. Throws TOO_LATE, with what was decided, for one that is closed. */
async function answer({ store, journal, links }: ApprovalOptions, id: string, confirmed: boolean, caller: Caller): Promise<ApprovalView> {
  const { agent, row } = await find(store, id, caller)
  if (row.state !== 'pending') throw tooLate(row.state === 'confirmed', row.answeredBy)
  const from = journal.newest
  const told = await links.answer(agent.id, row.id, confirmed, caller.user, caller.via)
  if (told.outcome === 'unknown')
    throw new RegentError('TOO_LATE', 'the agent no longer waits for this answer', { details: { what: 'approval' } })
  if (told.outcome === 'late') throw tooLate(told.confirmed === true, told.by)
  await closed(journal, agent.id, row.id, from)
  const after = (await store.read.approvals.get(row.id)) ?? row
  return viewOf(
    agent,
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

function viewOf(agent: AgentRow | undefined, row: ApprovalRow): ApprovalView {
  return {
    id: row.id,
    agent: agent ? `${agent.owner}/${agent.name}` : '',
    agent_id: row.agentId,
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
