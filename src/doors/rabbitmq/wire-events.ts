import type { EventType } from '../../contract/events.ts'
import { isObject, type Json, type JsonObject } from '../../kernel/json.ts'
import type { Outgoing, Topic } from '../../ports/bus.ts'
import type { EventRow, MessageRow } from '../../ports/store.ts'
import type { DoorCore } from './commands.ts'
import { configOf } from './definition.ts'
import { eventTopic, fits, SOURCE } from './places.ts'
import type { Member, Roster } from './roster.ts'
import { TASK_KEY } from './tasks.ts'

export interface WireEvent {
  readonly id: string
  readonly type: string
  /** Epoch ms. */
  readonly at: number
  readonly data: JsonObject
  readonly customerId: string
  readonly source?: string
  readonly correlationId?: string | null
}

interface Sent {
  readonly topic: Topic
  readonly message: Outgoing
}

/** An event as 001's programs read it. Events of one agent stay in order. */
export function wireEvent(event: WireEvent, agentId: string): Sent {
  const { id, type, at, data, customerId, source = SOURCE, correlationId = null } = event
  const body = {
    event_id: id,
    event_type: type,
    source,
    timestamp: new Date(at).toISOString(),
    data,
    metadata: {},
    correlation_id: correlationId,
    customer_id: customerId,
  }
  const message = { id, key: agentId, body: JSON.stringify(body), contentType: 'application/json' }
  return { topic: eventTopic(type), message: { ...message, ...(fits(correlationId) && { correlationId }) } }
}

/** The events of the journal that are told on the bus. */
export const toldTypes: readonly EventType[] = [
  'agent.created',
  'agent.updated',
  'agent.deleted',
  'run.running',
  'run.stopped',
  'run.exited',
  'run.backoff',
  'run.fatal',
  'command.refused',
  'message.sent',
  'message.dead',
]

const starts: readonly EventType[] = ['agent.created', 'agent.start_requested', 'agent.restart_requested']
const stops: readonly EventType[] = ['agent.stop_requested', 'agent.restart_requested']
/** A result of more bytes is cut: the whole of it is in Regent. */
const MOST_RESULT = 900_000

/** What an event of the journal is on the bus; the same each time it is asked. */
export async function wireEventsOf(event: EventRow, { roster, core }: { roster: Roster; core: DoorCore }): Promise<Sent[]> {
  if (event.type === 'command.refused') return unmade(event)
  const member = event.agentId === null ? undefined : await roster.of(event.agentId)
  if (!member) return []
  const { read } = core.desk
  switch (event.type) {
    case 'agent.created': {
      const row = await read.agents.get(member.id)
      const config = row && configOf(row.definition)
      const about = config ? { customer_id: member.owner, agent_type: config.agent_type, name: config.name } : { customer_id: member.owner }
      return [told(event, member, 'agent.created', { ...about, status: 'initializing' }, event)]
    }
    case 'agent.updated':
      return [told(event, member, 'agent.updated', { status: 'updating', revision: event.data.revision ?? null }, event)]
    case 'agent.deleted':
      return [told(event, member, 'agent.deleted', { status: 'terminated' }, deletion(await cause(core, event, stops)))]
    case 'run.running':
      return [told(event, member, 'agent.started', instance(event), await cause(core, event, starts))]
    case 'run.stopped':
      return ended(event, member, await cause(core, event, stops))
    case 'run.exited':
      // What ends by itself and is started again is told by what follows.
      return event.data.exit_code === 0 ? [told(event, member, 'agent.stopped', endOf(event, 'terminated'))] : []
    case 'run.backoff':
    case 'run.fatal': {
      const again = event.type === 'run.backoff'
      const data = { error: event.data.reason ?? null, status: 'error', retrying: again, container_id: event.data.run_id ?? null }
      return [told(event, member, 'agent.error', data, await cause(core, event, starts))]
    }
    case 'message.sent':
      return event.data.final === true ? result(core, event, member, event.data.reply_to ?? null) : []
    case 'message.dead':
      return result(core, event, member, event.data.id ?? null)
    default:
      return []
  }
}

/** `agent-started-7f-12`: the number is the journal's, so that a repeat carries the same id. */
function told(event: EventRow, { agentId, owner }: Member, type: string, data: JsonObject, asked?: EventRow): Sent {
  const id = `${type.replaceAll('.', '-')}-${agentId}-${event.number}`
  return wireEvent(
    { id, type, at: event.at, data: { agent_id: agentId, ...data }, customerId: owner, correlationId: correlationOf(asked) },
    agentId,
  )
}

const instance = ({ at, data }: EventRow): JsonObject => ({
  container_id: data.run_id ?? null,
  status: 'running',
  started_at: new Date(at).toISOString(),
  last_heartbeat: new Date(at).toISOString(),
  metrics: {},
  error_message: null,
  metadata: { pid: data.pid ?? null },
})

const endOf = ({ at, data }: EventRow, status: string): JsonObject => ({
  container_id: data.run_id ?? null,
  status,
  stopped_at: new Date(at).toISOString(),
  reason: data.reason ?? null,
})

function ended(event: EventRow, member: Member, asked: EventRow | undefined): Sent[] {
  const origin = originOf(asked)
  const paused = origin.command === 'agent.pause'
  const stopped = told(event, member, 'agent.stopped', endOf(event, paused ? 'paused' : 'terminated'), asked)
  if (origin.command !== 'admin.agent.stop') return [stopped]
  const { admin_id = null, reason = null, force = false } = origin
  const by = { admin_id, reason, force, stopped_by: `admin:${admin_id ?? 'unknown'}`, stop_reason: reason, status: 'terminated' }
  return [stopped, told(event, member, 'admin.agent.stopped', by, asked)]
}

/** An agent that could not be made: 001 tells of it as an error of the agent. */
function unmade(event: EventRow): Sent[] {
  const { known_as: agentId, reason, forged } = event.data
  if (forged !== false || typeof agentId !== 'string' || event.owner === null) return []
  const data = { agent_id: agentId, error: reason ?? null, status: 'error' }
  const id = `agent-error-${agentId}-${event.number}`
  return [wireEvent({ id, type: 'agent.error', at: event.at, data, customerId: event.owner, correlationId: correlationOf(event) }, agentId)]
}

/** How a message on the agent's own queue ended. */
async function result(core: DoorCore, event: EventRow, member: Member, messageId: Json): Promise<Sent[]> {
  const { read } = core.desk
  const asked = typeof messageId === 'string' ? await read.messages.get(messageId) : undefined
  const task = asked?.metadata[TASK_KEY]
  if (!asked || !isObject(task) || typeof task.task_id !== 'string') return []
  const { agentId, owner } = member
  const said = event.type === 'message.sent' && typeof event.data.id === 'string' ? await read.messages.get(event.data.id) : undefined
  const end = event.type === 'message.sent' ? { result: resultOf(said, event) } : { error: event.data.reason ?? null }
  const data = { task_id: task.task_id, agent_id: agentId, ...end, timestamp: new Date(event.at).toISOString() }
  const type = event.type === 'message.sent' ? 'message.sent' : 'message.failed'
  const id = `${type === 'message.sent' ? 'task-result' : 'task-error'}-${task.task_id}`
  const correlationId = typeof task.correlation_id === 'string' ? task.correlation_id : null
  return [wireEvent({ id, type, at: event.at, data, customerId: owner, source: `agent-${agentId}`, correlationId }, agentId)]
}

function resultOf(said: MessageRow | undefined, { data }: EventRow): Json {
  let content = said?.content ?? data.content ?? null
  while (typeof content === 'string' && Buffer.byteLength(JSON.stringify(content)) > MOST_RESULT)
    content = content.slice(0, Math.floor(content.length / 2)).toWellFormed()
  return content
}

/** What was last asked for before this event, where it is of these types: what led to it. */
async function cause({ desk }: DoorCore, event: EventRow, types: readonly EventType[]): Promise<EventRow | undefined> {
  if (event.agentId === null) return undefined
  const filter = { agentId: event.agentId, types: [...starts, ...stops], after: 0, before: event.number, limit: 1, from: 'newest' } as const
  const [last] = await desk.read.events.list(filter)
  return last && types.includes(last.type) ? last : undefined
}

/** Of an agent that was stopped already, nothing tells who had it deleted. */
const deletion = (asked: EventRow | undefined): EventRow | undefined => (asked?.data.deleting === true ? asked : undefined)

function originOf(event: EventRow | undefined): Readonly<Record<string, Json>> {
  const origin = event?.data.origin
  return isObject(origin) ? (origin as Readonly<Record<string, Json>>) : {}
}

function correlationOf(event: EventRow | undefined): string | null {
  const { correlation_id: id } = originOf(event)
  return typeof id === 'string' ? id : null
}
