import { type AgentConfig, agentConfig, COMMANDS_DOOR, pausedCursor, sequenceCursor } from '../../contract/agent-commands.ts'
import type { AgentDetail, AgentView } from '../../contract/agents.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { RunningCore } from '../../core/create-core.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow } from '../../ports/store.ts'
import { configOf, namesFor, sameConfig, teamOf } from './definition.ts'
import type { Asked } from './read-message.ts'
import type { Roster } from './roster.ts'
import { type Status, statusOf } from './status.ts'

export type DoorCore = Pick<RunningCore, 'call' | 'relay' | 'desk'>

/** Under whose name the door keeps its answers: no user can be called so. */
const WHO = ':rabbitmq'

export interface CommandOptions {
  readonly core: DoorCore
  readonly roster: Roster
}

/** A command at work. */
interface Work extends CommandOptions {
  readonly asked: Asked
  readonly signal: AbortSignal
}

interface Outcome {
  readonly status: Status
  /** Regent's id of the agent. */
  readonly id: string
  readonly paused?: boolean
}

type Command = (work: Work, row: AgentRow) => Promise<Outcome>

/** Those on an agent that is there. */
const commands: Readonly<Record<string, Command>> = {
  'agent.update': update,
  'agent.start': (work, row) => lifted(work, row, 'agents.start'),
  'agent.restart': (work, row) => lifted(work, row, 'agents.restart'),
  'agent.stop': (work, row) => stopped(work, row, false),
  'agent.pause': (work, row) => stopped(work, row, true),
  'admin.agent.stop': stoppedByAdmin,
  async 'agent.delete'(work, row) {
    await call(work, row.owner, 'agents.delete', { agent: row.id })
    return { id: row.id, status: 'terminated' }
  },
}

/**
 * Carries a command out, once however often it comes; answers the agent's status. Resolves when the intent is stored: what becomes of it
 * is told by events.
 */
export async function perform(asked: Asked, signal: AbortSignal, options: CommandOptions): Promise<string> {
  const { desk } = options.core
  const answer = await desk.once({ who: WHO, key: asked.key, input: asked.input }, async () => {
    const { id, status, paused } = await carryOut({ ...options, asked, signal })
    const { sequence } = asked.payload
    const cursors = {
      ...(typeof sequence === 'number' && { [sequenceCursor(id)]: sequence }),
      ...(paused !== undefined && { [pausedCursor(id)]: paused ? 1 : 0 }),
    }
    return { answer: status, cursors }
  })
  return String(answer)
}

async function carryOut(work: Work): Promise<Outcome> {
  const { asked, roster } = work
  const { type, agentId = '' } = asked
  if (type === 'team.orchestrate')
    throw new RegentError('NOT_YET', 'team.orchestrate is not there yet: it needs teams of containers', {
      hint: 'let the agents talk by conversation.start, or make one agent with several subagents over HTTP',
    })
  const row = await roster.find(agentId)
  if (row) {
    checkOwner(asked, row)
    await checkSequence(work, row)
  }
  if (type === 'agent.create' || type === 'agent.created' || type === 'agent.updated')
    return deploy(work, agentConfig.parse(asked.payload), row, type !== 'agent.create')
  const command = commands[type]
  if (!command) throw new RegentError('BAD_REQUEST', `message_type: '${type}' is not known`)
  if (!row) throw noSuchAgent(agentId)
  return command(work, row)
}

export const noSuchAgent = (agentId: string): RegentError =>
  new RegentError('NOT_FOUND', `payload.agent_id: there is no agent '${agentId}'`, {
    hint: 'make it with agent.create; an agent that was made elsewhere has no id on this bus',
  })

/** Throws FORBIDDEN, with `details.row`, for one who speaks for another customer. */
export function checkOwner({ customerId, agentId }: Asked, row: AgentRow): void {
  if (customerId === undefined || customerId === row.owner) return
  throw new RegentError('FORBIDDEN', `customer_id: agent '${agentId}' is not of ${customerId}`, {
    hint: "use the id of the customer's own agent",
    details: { row },
  })
}

async function checkSequence({ asked, core }: Work, row: AgentRow): Promise<void> {
  const { sequence } = asked.payload
  if (typeof sequence !== 'number') return
  const last = await core.desk.read.cursors.get(sequenceCursor(row.id))
  if (sequence <= last)
    throw new RegentError('STALE', `payload.sequence: ${sequence} is not newer than ${last}, the last one accepted for this agent`, {
      hint: 'count up, or leave the sequence out',
    })
}

async function deploy(work: Work, config: AgentConfig, row: AgentRow | undefined, replaces: boolean): Promise<Outcome> {
  const owner = config.customer_id
  if (work.asked.customerId !== owner)
    throw new RegentError('FORBIDDEN', `customer_id: the event is of ${work.asked.customerId}, its agent of ${owner}`, {
      hint: 'let both be the same',
    })
  if (!row) return create(work, config)
  if (row.deleting) {
    await call(work, owner, 'agents.delete', { agent: row.id, wait: true }, ':gone').catch((error: unknown) => {
      if (!isCode(error, 'NOT_FOUND')) throw error
    })
    work.roster.forget(row.id)
    return create(work, config)
  }
  const same = sameConfig(configOf(row.definition), config)
  if (same) return replaces ? lifted(work, row, 'agents.start') : { id: row.id, status: await statusNow(work, row) }
  if (!replaces)
    throw new RegentError('ALREADY_EXISTS', `payload.agent_id: there is an agent '${config.agent_id}' already`, {
      hint: 'change it with agent.update',
    })
  await redefine(work, row, config)
  return lifted(work, row, 'agents.restart', ':restart')
}

async function create(work: Work, config: AgentConfig): Promise<Outcome> {
  const owner = config.customer_id
  const team = teamOf(config)
  for (const [index, name] of namesFor(config).entries()) {
    try {
      const agent = { kind: 'team', owner, name, ...team }
      const made = (await call(work, owner, 'agents.create', { agent, start: true }, `:${index}`)) as AgentDetail
      await work.roster.note(made.id)
      return { id: made.id, status: 'initializing' }
    } catch (error) {
      if (!isCode(error, 'ALREADY_EXISTS')) throw error
    }
  }
  throw new RegentError('ALREADY_EXISTS', `payload.name: ${owner} has agents of this name already`, { hint: 'choose another name' })
}

/** The keys that are given take the places of those that are there; an agent that is wanted is started anew with them. */
async function update(work: Work, row: AgentRow): Promise<Outcome> {
  const before = configOf(row.definition)
  if (!before) throw noSuchAgent(work.asked.agentId ?? '')
  const { config, autogen_config, name, description } = work.asked.payload as Partial<AgentConfig>
  await redefine(work, row, {
    ...before,
    ...(name !== undefined && { name }),
    ...(description !== undefined && { description }),
    config: { ...before.config, ...config },
    autogen_config: { ...before.autogen_config, ...autogen_config },
  })
  const life = await work.core.desk.read.lives.get(row.id)
  if (life?.desired !== 'running' || work.asked.payload.reinitialize === false) return { id: row.id, status: await statusNow(work, row) }
  await call(work, row.owner, 'agents.restart', { agent: row.id }, ':restart')
  return { id: row.id, status: 'updating' }
}

async function redefine(work: Work, row: AgentRow, config: AgentConfig): Promise<void> {
  const { subagents, json_config } = teamOf(config)
  const definition = { subagents, json_config: { ...(row.definition.json_config as JsonObject), ...json_config } }
  await call(work, row.owner, 'agents.update', { agent: row.id, definition })
}

async function lifted(work: Work, row: AgentRow, operation: string, suffix = ''): Promise<Outcome> {
  const view = (await call(work, row.owner, operation, { agent: row.id }, suffix)) as AgentView
  return { id: row.id, status: statusOf(view, false), paused: false }
}

async function stopped(work: Work, row: AgentRow, paused: boolean): Promise<Outcome> {
  const view = (await call(work, row.owner, 'agents.stop', { agent: row.id })) as AgentView
  return { id: row.id, status: statusOf(view, paused), paused }
}

/** With force its main process is killed at once; what it started ends with the stop. */
async function stoppedByAdmin(work: Work, row: AgentRow): Promise<Outcome> {
  const outcome = await stopped(work, row, false)
  if (work.asked.payload.force !== true) return outcome
  await call(work, row.owner, 'agents.signal', { agent: row.id, signal: 'KILL' }, ':kill').catch((error: unknown) => {
    if (!isCode(error, 'ILLEGAL_STATE') && !isCode(error, 'NOT_FOUND')) throw error
  })
  return outcome
}

async function statusNow(work: Work, row: AgentRow): Promise<Status> {
  const view = (await call(work, row.owner, 'agents.get', { agent: row.id })) as AgentView
  return statusOf(view, (await work.core.desk.read.cursors.get(pausedCursor(row.id))) === 1)
}

/** Asks the core in the name of the agent's owner; an admin's stop under the admin's own name. */
function call({ core, asked, signal }: Work, owner: string, operation: string, input: object, suffix = ''): Promise<object> {
  const { type, key, correlationId, payload } = asked
  const admin = type === 'admin.agent.stop'
  const user = admin ? `admin:${typeof payload.admin_id === 'string' ? payload.admin_id : 'unknown'}` : owner
  const caller: Caller = { user, role: admin ? 'admin' : 'user', via: COMMANDS_DOOR }
  const origin: JsonObject = {
    command: type,
    correlation_id: correlationId,
    ...(admin && { admin_id: text(payload.admin_id), reason: text(payload.reason), force: payload.force === true }),
  }
  return core.call(operation, input, { caller, signal, key: `${key}${suffix}`, origin })
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const isCode = (error: unknown, code: RegentError['code']): boolean => error instanceof RegentError && error.code === code
