import { randomUUID } from 'node:crypto'
import type { AgentDetail, AgentView } from '../../src/contract/agents.ts'
import type { EventView } from '../../src/contract/events.ts'
import type { CallContext, OperationShape } from '../../src/contract/operation.ts'
import { operations } from '../../src/contract/operations.ts'
import type { Check, SystemStatus } from '../../src/contract/system.ts'
import type { Caller } from '../../src/contract/tokens.ts'
import type { Core } from '../../src/core/core.ts'
import type { Family } from '../../src/core/system/families.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { createFakeLinks, type FakeLinks } from './fake-links.ts'

/** A call that reached the core, as the door put it. */
export interface SeenCall {
  readonly name: string
  readonly input: object
  readonly context: CallContext
}

export interface FakeCore {
  readonly core: Core
  readonly links: FakeLinks
  readonly agents: Map<string, AgentDetail>
  /** Calls and openings, newest last. */
  readonly seen: SeenCall[]
  /** Calls that changed something: what a refused request must leave alone. */
  readonly changes: string[]
  /** token → who. */
  readonly tokens: Map<string, Caller>
  readonly events: EventView[]
  /** Overrides one operation; the next calls of that name go to it. */
  readonly answers: Map<string, (input: Record<string, unknown>, context: CallContext) => object | Promise<object>>
  status: SystemStatus
  /** What `checks` answers; those of `status`. */
  checks: () => readonly Check[] | Promise<readonly Check[]>
  /** What `metrics` answers. */
  families: (caller: Caller) => readonly Family[]
  /** The oldest event that is kept. */
  oldest: number
  /** Adds an event to the journal and wakes the streams. */
  emit(type: EventView['type'], data?: Record<string, unknown>): EventView
  /** Streams that are open now. */
  open: number
}

type Handler = (fake: FakeCore, input: Record<string, unknown>, context: CallContext) => object | Promise<object>

const handlers: Partial<Record<string, Handler>> = {
  'agents.create': (fake, { agent }, { caller }) => create(fake, agent as Record<string, unknown>, caller),
  'agents.get': (fake, { agent }, { caller }) => find(fake, String(agent), caller),
  'agents.update': (fake, { agent, if_revision }, { caller }) => {
    const found = find(fake, String(agent), caller)
    if (if_revision !== undefined && if_revision !== found.revision)
      throw new RegentError('STALE', `the agent has revision ${found.revision}`)
    return put(fake, { ...found, revision: found.revision + 1 }, 'agents.update')
  },
  'agents.list': (fake, { owner, limit, cursor }, { caller }) => {
    const mine = [...fake.agents.values()].filter((agent) => visible(agent, caller) && (owner === undefined || agent.owner === owner))
    const start = Number(cursor ?? 0)
    const end = start + Number(limit)
    return { agents: mine.slice(start, end), next_cursor: end < mine.length ? String(end) : null }
  },
  'agents.start': (fake, { agent }, { caller }) => {
    const found = find(fake, String(agent), caller)
    return put(fake, { ...found, state: 'RUNNING', pid: found.pid ?? 4242, uptime_ms: found.uptime_ms ?? 1000 }, 'agents.start')
  },
  'agents.stop': (fake, { agent }, { caller }) => {
    const found = find(fake, String(agent), caller)
    return { ...put(fake, { ...found, state: 'STOPPED', pid: null, uptime_ms: null }, 'agents.stop'), survivors: [] }
  },
  'agents.delete': (fake, { agent }, { caller }) => {
    const found = find(fake, String(agent), caller)
    fake.agents.delete(found.id)
    fake.changes.push('agents.delete')
    return { id: found.id, owner: found.owner, name: found.name, deleted: true }
  },
  'messages.send': (fake, { content }) => {
    fake.changes.push('messages.send')
    return { message: { content }, reply: null }
  },
  'system.status': (fake) => fake.status,
}

/** A core in memory: agents in a map, a journal in an array. It validates as the real one does, through the operations table. */
export function createFakeCore(): FakeCore {
  const wake = new Set<() => void>()
  const links = createFakeLinks()
  const fake: FakeCore = {
    core: {
      call: async (name, input, context) => {
        const checked = admit(fake, name, input, context)
        const answer = fake.answers.get(name)
        if (answer) return answer(checked, context)
        const handler = handlers[name]
        if (!handler) throw new RegentError('NOT_YET', `${name} is not faked`)
        return handler(fake, checked, context)
      },
      open: (name, input, context) => stream(fake, wake, name, input, context),
      identity: {
        byToken: async (token, via) => {
          const caller = fake.tokens.get(token)
          return caller && { ...caller, via }
        },
        localAdmin: (via) => ({ user: 'me', role: 'admin', via }),
      },
      links,
      permissions: { ask: async () => ({ state: 'pending' }) },
      checks: async () => fake.checks(),
      metrics: async (caller) => fake.families(caller),
    },
    links,
    checks: () => fake.status.checks,
    families: () => [],
    agents: new Map(),
    seen: [],
    changes: [],
    tokens: new Map(),
    events: [],
    answers: new Map(),
    status: newStatus(),
    oldest: 1,
    open: 0,
    emit(type, data = {}) {
      const number = (fake.events.at(-1)?.number ?? 0) + 1
      const event: EventView = { number, at: 0, type, agent_id: null, agent: null, owner: null, actor: 'me', data }
      fake.events.push(event)
      for (const tell of [...wake]) tell()
      return event
    },
  }
  return fake
}

const ranks = ['read-only', 'user', 'admin']

function admit(fake: FakeCore, name: string, input: object, context: CallContext): Record<string, unknown> {
  const operation = (operations as Record<string, OperationShape>)[name]
  if (!operation) throw new RegentError('NOT_FOUND', `no operation ${name}`)
  if (ranks.indexOf(context.caller.role) < ranks.indexOf(operation.role)) throw new RegentError('FORBIDDEN', `your role may not ${name}`)
  const checked = operation.input.safeParse(input)
  if (!checked.success) {
    const fields = checked.error.issues.map((issue) => ({ path: issue.path.join('.'), message: issue.message }))
    throw new RegentError('INVALID', `${fields[0]?.path} ${fields[0]?.message}`, { fields })
  }
  fake.seen.push({ name, input, context })
  return checked.data
}

const visible = (agent: AgentView, caller: Caller): boolean => caller.role === 'admin' || agent.owner === caller.user

function find(fake: FakeCore, reference: string, caller: Caller): AgentDetail {
  const found = [...fake.agents.values()].find(
    (agent) => visible(agent, caller) && [agent.id, agent.name, `${agent.owner}/${agent.name}`].includes(reference),
  )
  if (!found) throw new RegentError('NOT_FOUND', `no agent ${reference}`, { hint: 'regent ps lists them' })
  return found
}

function put(fake: FakeCore, agent: AgentDetail, change: string): AgentDetail {
  fake.agents.set(agent.id, agent)
  fake.changes.push(change)
  return agent
}

function create(fake: FakeCore, agent: Record<string, unknown>, caller: Caller): AgentDetail {
  const {
    owner = caller.user,
    name,
    kind,
    policy: _policy,
    limits: _limits,
    ...definition
  } = agent as {
    owner?: string
    name: string
    kind: 'team'
    policy: unknown
    limits: unknown
  }
  if (caller.role !== 'admin' && owner !== caller.user) throw new RegentError('NOT_FOUND', `no user ${owner}`)
  if ([...fake.agents.values()].some((other) => other.owner === owner && other.name === name))
    throw new RegentError('ALREADY_EXISTS', `${owner}/${name} exists`)
  return put(fake, newAgent(owner, name, kind, definition), 'agents.create')
}

/** An agent as the core would show it, just created. */
export function newAgent(owner: string, name: string, kind: AgentDetail['kind'] = 'team', definition: object = {}): AgentDetail {
  return {
    id: randomUUID(),
    owner,
    name,
    kind,
    runtime: 'process',
    desired: 'stopped',
    state: 'STOPPED',
    reason: 'created',
    since: 0,
    activity: null,
    health: null,
    ready: null,
    resources: null,
    pid: null,
    run_id: null,
    restarts: 0,
    uptime_ms: null,
    exit_code: null,
    exit_signal: null,
    revision: 1,
    running_revision: null,
    queued: 0,
    usage: { model_calls: 0, input_tokens: 0, output_tokens: 0, cost_usd: 0 },
    conditions: [],
    created_at: 0,
    updated_at: 0,
    definition: { ...definition },
    policy: { restart: 'always', startsecs: 1, startretries: 3, stop_signal: 'TERM', stop_grace: 10 },
    limits: {},
    file: kind === 'team' ? `/project/agents/${owner}/agents/${name}_agent.mjs` : null,
    program: `${owner}_${name}_agent`,
    schedules: [],
    notes: [],
  }
}

async function* stream(fake: FakeCore, wake: Set<() => void>, name: string, input: object, context: CallContext): AsyncGenerator<object> {
  const { after } = admit(fake, name, input, context)
  const answer = fake.answers.get(name)
  if (answer) {
    yield* (await answer(input as Record<string, unknown>, context)) as AsyncIterable<object>
    return
  }
  fake.open++
  try {
    let cursor = after === undefined ? (fake.events.at(-1)?.number ?? 0) : Number(after)
    if (cursor < fake.oldest - 1) {
      const newest = fake.events.at(-1)?.number ?? 0
      yield { kind: 'resync', oldest: fake.oldest, newest }
      cursor = newest
    }
    while (!context.signal.aborted) {
      const next = fake.events.find((event) => event.number > cursor)
      if (next) {
        cursor = next.number
        yield { kind: 'event', event: next }
      } else await woken(wake, context.signal)
    }
  } finally {
    fake.open--
  }
}

function woken(wake: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      wake.delete(done)
      signal.removeEventListener('abort', done)
      resolve()
    }
    wake.add(done)
    signal.addEventListener('abort', done)
    if (signal.aborted) done()
  })
}

function newStatus(): SystemStatus {
  return {
    version: '0',
    node: process.versions.node,
    home: '/home/me/regent',
    project: '/project',
    pid: 1,
    started_at: 0,
    uptime_ms: 1,
    auth: 'auto',
    store: 'sqlite',
    bus: 'memory',
    runtime: 'process',
    stop_level: 'D',
    agents: { total: 0, by_state: {} },
    workers: { active: 0, by_state: {} },
    messages_waiting: 0,
    approvals_pending: 0,
    newest_event: 0,
    process: { memory_bytes: 67_108_864, open_files: 30, event_loop_lag_ms: null },
    checks: [{ name: 'store', ok: true, message: 'sqlite', required: true }],
    conditions: [],
    ready: true,
  }
}
