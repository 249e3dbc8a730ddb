import { createHash } from 'node:crypto'
import { RegentError } from '../../kernel/errors.ts'
import { hashedUuid } from '../../kernel/ids.ts'
import type { Bus } from '../../ports/bus.ts'
import type { AgentRow } from '../../ports/store.ts'
import { checkOwner, type DoorCore, noSuchAgent, perform } from './commands.ts'
import { agentTopic } from './places.ts'
import type { Asked } from './read-message.ts'
import type { Roster } from './roster.ts'

/** Where a message in the inbox keeps which task it is. */
export const TASK_KEY = 'task'

export interface TaskOptions {
  readonly core: DoorCore
  readonly roster: Roster
  readonly bus: Bus
}

/** Does what a message on an agent's own queue asks for; answers a word on what became of it. */
export async function performTask(asked: Asked, signal: AbortSignal, options: TaskOptions): Promise<string> {
  const { type, payload, agentId = '' } = asked
  const row = await options.roster.find(agentId)
  if (!row || row.deleting) throw noSuchAgent(agentId)
  checkOwner(asked, row)
  switch (type) {
    case 'task.execute': {
      const { task_id, type: kind, parameters } = payload as { task_id: string; type?: string | null; parameters: Record<string, unknown> }
      return post(options, asked, row, signal, { taskId: task_id, conversation: 'main', content: taskText(kind ?? null, parameters) })
    }
    case 'conversation.message': {
      const { from_agent_id: from, message } = payload as { from_agent_id: string; message: string }
      const taskId = `conversation-${asked.key.slice(0, 32)}`
      return post(options, asked, row, signal, { taskId, conversation: `agent-${from}`, content: message })
    }
    case 'conversation.start':
      return converse(options, asked, row)
    default: {
      const { config, reinitialize, ...rest } = payload
      const change = { agent_id: agentId, config: config ?? rest, reinitialize: reinitialize === true }
      return perform({ ...asked, type: 'agent.update', payload: change }, signal, options)
    }
  }
}

interface Task {
  readonly taskId: string
  readonly conversation: string
  readonly content: string
}

/** Into the durable inbox, once for a task. */
async function post({ core }: TaskOptions, asked: Asked, row: AgentRow, signal: AbortSignal, task: Task): Promise<string> {
  const { taskId, conversation, content } = task
  const metadata = { [TASK_KEY]: { task_id: taskId, type: asked.type, correlation_id: asked.correlationId } }
  const input = { agent: row.id, id: uuidOf(`${row.id}/${taskId}`), content, conversation, metadata }
  await core.call('messages.send', input, { caller: { user: row.owner, role: 'user', via: 'rabbitmq' }, signal })
  return 'accepted'
}

async function converse({ roster, bus }: TaskOptions, asked: Asked, row: AgentRow): Promise<string> {
  const { target_agent_id: target, message } = asked.payload as { target_agent_id: string; message: string }
  const other = await roster.find(target)
  if (!other || other.owner !== row.owner)
    throw new RegentError('NOT_FOUND', `payload.target_agent_id: ${row.owner} has no agent '${target}'`, {
      hint: 'agents of one customer talk',
    })
  const payload = { from_agent_id: asked.agentId, message }
  const body = { message_type: 'conversation.message', payload, timestamp: new Date().toISOString(), correlation_id: asked.correlationId }
  const id = `conversation-${asked.key}`
  await bus.publish(agentTopic(target), { id, key: target, body: JSON.stringify(body), contentType: 'application/json' })
  return 'accepted'
}

/** What the agent reads: the words where there are only words, else the task as it stands. */
function taskText(kind: string | null, parameters: Readonly<Record<string, unknown>>): string {
  const [only, ...more] = Object.entries(parameters)
  if (only && more.length === 0 && typeof only[1] === 'string' && only[1].trim() !== '') return only[1]
  const given = only ? `\n${JSON.stringify(parameters, null, 2)}` : ''
  return `${kind ?? 'Task'}${given}`
}

/** A UUID of one's own for a text, the same each time. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return hashedUuid(hex, 'a')
}
