import type { MessageView } from '../../contract/messages.ts'
import type { AgentRow, MessageRow } from '../../ports/store.ts'

export function messageViewOf(agent: Pick<AgentRow, 'owner' | 'name'>, row: MessageRow): MessageView {
  return {
    id: row.id,
    number: row.number,
    agent: `${agent.owner}/${agent.name}`,
    agent_id: row.agentId,
    conversation: row.conversation,
    direction: row.direction,
    type: row.type,
    content: row.content,
    metadata: { ...row.metadata },
    sender: row.sender,
    reply_to: row.replyTo,
    final: row.final,
    state: row.state,
    tries: row.tries,
    reason: row.reason,
    at: row.at,
  }
}
