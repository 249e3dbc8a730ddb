import type { EventType } from '../../contract/events.ts'
import type { Input, Output } from '../../contract/operations.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { LogLine, LogQuery, Runtime } from '../../ports/runtime.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import { findAgent, mayTouch } from '../agents/find.ts'
import type { Journal } from '../events/journal.ts'
import type { Streams } from '../handling.ts'
import { LogMerge, type MergedLine } from './log-merge.ts'
import { momentOf } from './moment.ts'

export interface LogOptions {
  readonly store: Store
  readonly runtime: Runtime
  readonly journal: Journal
  readonly clock: Clock
}

type Query = Omit<Input<'agents.logs'>, 'agent'>

/** Of one agent where nothing else is said; with `since` everything from then on. */
const DEFAULT_TAIL = 100
/** Each has files open. */
const MOST_AGENTS = 1000

/** Whose lines: these, or those that the filter lets through, later ones included. */
type Wanted = { readonly agents: readonly AgentRow[] } | { readonly owner: string | undefined }

export function logStreams(options: LogOptions): Streams<'agents.logs' | 'logs.stream'> {
  return {
    async *'agents.logs'({ agent, ...query }, { caller, signal }) {
      const row = await findAgent(options.store.read, agent, caller)
      for await (const { line } of linesOf(options, { agents: [row] }, query, signal)) yield viewOf(line)
    },
    async *'logs.stream'({ agents, owner, ...query }, { caller, signal }) {
      const wanted = await wantedBy(options.store, caller, agents, owner)
      for await (const { agent, line } of linesOf(options, wanted, query, signal))
        yield { agent: `${agent.owner}/${agent.name}`, agent_id: agent.id, ...viewOf(line) }
    },
  }
}

const viewOf = ({ runId, stream, at, text }: MergedLine['line']): Output<'agents.logs'> => ({ run_id: runId, stream, at, text })

async function wantedBy(store: Store, caller: Caller, refs: readonly string[] | undefined, owner: string | undefined): Promise<Wanted> {
  if (owner !== undefined && !mayTouch(caller, owner)) throw new RegentError('NOT_FOUND', `there is no user '${owner}'`)
  const scope = owner ?? (caller.role === 'admin' ? undefined : caller.user)
  if (refs === undefined) return { owner: scope }
  const found = await Promise.all(refs.map((ref) => findAgent(store.read, ref, caller)))
  const unique = [...new Map(found.map((row) => [row.id, row])).values()]
  return { agents: unique.filter((row) => owner === undefined || row.owner === owner) }
}

/** Events after which there is output of an agent that had none. */
const ran: readonly EventType[] = ['run.running', 'run.exited', 'run.backoff', 'run.fatal', 'run.stopped']

async function* linesOf(options: LogOptions, wanted: Wanted, query: Query, signal: AbortSignal): AsyncGenerator<MergedLine> {
  const { store, runtime, clock } = options
  const { tail, follow, stream, contains } = query
  const begun = clock.now()
  const since = query.since === undefined ? undefined : momentOf(query.since, 'since', clock.now())
  const asked = { follow, ...(since !== undefined && { since }), ...(stream && { stream }), ...(contains !== undefined && { contains }) }
  const first = tail ?? (since === undefined ? DEFAULT_TAIL : undefined)
  const merge = new LogMerge(clock, follow)
  const members = new Map<string, AgentRow>()
  const join = (row: AgentRow, most?: number) => {
    members.set(row.id, row)
    const whole: LogQuery = { ...asked, ...(most !== undefined && { tail: most }) }
    merge.add(row, (ending) => (follow ? runtime.logs(row.id, whole, ending) : until(runtime.logs(row.id, whole, ending), begun)))
  }
  const from = options.journal.newest
  const rows = 'agents' in wanted ? wanted.agents : await store.read.agents.list(wanted.owner === undefined ? {} : { owner: wanted.owner })
  if (rows.length > MOST_AGENTS) throw tooMany(rows.length)
  for (const row of rows) join(row, first)
  const over = new AbortController()
  const ending = AbortSignal.any([signal, over.signal])
  const changes = follow ? followMembers({ options, wanted, from, members, merge, join, signal: ending }) : undefined
  // A journal that cannot be read is told to the reader of the lines.
  changes?.catch(() => over.abort())
  try {
    yield* merge.lines(() => follow && ('owner' in wanted || members.size > 0), ending)
  } finally {
    over.abort()
    await changes
  }
}

/** What was printed by then: an agent that prints faster than it is read would be read for ever. */
async function* until(lines: AsyncIterable<LogLine>, at: number): AsyncGenerator<LogLine> {
  for await (const line of lines) {
    if (line.at !== null && line.at > at) return
    yield line
  }
}

interface Following {
  readonly options: LogOptions
  readonly wanted: Wanted
  readonly from: number
  readonly members: Map<string, AgentRow>
  readonly merge: LogMerge
  readonly join: (row: AgentRow, most?: number) => void
  readonly signal: AbortSignal
}

/** Agents that are made later join, those that are deleted leave, and one that never ran is read once it has. */
async function followMembers({ options, wanted, from, members, merge, join, signal }: Following): Promise<void> {
  const owner = 'owner' in wanted ? wanted.owner : undefined
  const filter = { types: ['agent.created', 'agent.deleted', ...ran] as const, ...(owner !== undefined && { owner }) }
  for await (const item of options.journal.read(from, filter, signal)) {
    if (item.kind === 'resync') throw new RegentError('UNAVAILABLE', 'too much happened at once to follow all of it', { retryAfter: 1 })
    const { agentId, type } = item.event
    if (agentId === null) continue
    const member = members.get(agentId)
    if (type === 'agent.deleted' && member) {
      members.delete(agentId)
      merge.end(agentId)
      merge.look()
    } else if (type === 'agent.created' && !member && 'owner' in wanted) {
      const row = await options.store.read.agents.get(agentId)
      if (row && members.size < MOST_AGENTS) join(row)
    } else if (member && ran.includes(type) && !merge.has(agentId)) join(member)
  }
}

function tooMany(count: number): RegentError {
  const message = `are ${count}, and the output of at most ${MOST_AGENTS} can be read at once`
  return new RegentError('INVALID', `agents ${message}`, { hint: 'name fewer of them', fields: [{ path: 'agents', message }] })
}
