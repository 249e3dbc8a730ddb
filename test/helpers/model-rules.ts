// What the real APIs refuse with 400, as far as it concerns the order and content of messages.
import { isObject } from '../../src/kernel/json.ts'

type Message = Record<string, unknown>

/** The first rule that the conversation breaks, in words. */
export function brokenRule(wire: 'anthropic' | 'openai', { messages, tools }: Record<string, unknown>): string | undefined {
  const list = (Array.isArray(messages) ? messages : []).filter(isObject)
  if (list.length === 0) return 'messages: at least one message is required'
  for (const tool of Array.isArray(tools) ? tools : []) {
    const name = String(tool.name ?? tool.function?.name)
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) return `tools: name ${name} does not match the pattern`
  }
  return wire === 'anthropic' ? anthropicRules(list) : openAiRules(list)
}

function anthropicRules(messages: Message[]): string | undefined {
  if (messages[0]?.role !== 'user') return 'messages: first message must use the "user" role'
  for (const [at, message] of messages.entries()) {
    const blocks = blocksOf(message)
    if (blocks.some((block) => block.type === 'text' && String(block.text).trim() === '')) return `messages.${at}: text must not be empty`
    const used = idsOf(blocks, 'tool_use', 'id')
    const next = messages[at + 1]
    const answered = next === undefined ? [] : idsOf(blocksOf(next), 'tool_result', 'tool_use_id')
    const open = used.find((id) => !answered.includes(id))
    if (open !== undefined) return `messages.${at}: tool_use ids were found without tool_result blocks immediately after: ${open}`
    const before = messages[at - 1]
    const asked = before === undefined ? [] : idsOf(blocksOf(before), 'tool_use', 'id')
    const stray = idsOf(blocks, 'tool_result', 'tool_use_id').find((id) => !asked.includes(id))
    if (stray !== undefined) return `messages.${at}: unexpected tool_use_id in tool_result: ${stray}`
  }
  return undefined
}

function openAiRules(messages: Message[]): string | undefined {
  let open: string[] = []
  for (const message of messages) {
    if (message.role === 'tool') {
      if (!open.includes(String(message.tool_call_id)))
        return "messages with role 'tool' must be a response to a preceding message with 'tool_calls'"
      open = open.filter((id) => id !== message.tool_call_id)
      continue
    }
    if (open.length > 0) return `an assistant message with 'tool_calls' must be followed by tool messages: ${open.join(', ')}`
    open = (Array.isArray(message.tool_calls) ? message.tool_calls : []).map((call) => String(call.id))
  }
  return open.length > 0 ? `an assistant message with 'tool_calls' must be followed by tool messages: ${open.join(', ')}` : undefined
}

const blocksOf = ({ content }: Message): Message[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : (Array.isArray(content) ? content : []).filter(isObject)

const idsOf = (blocks: Message[], type: string, key: string): string[] =>
  blocks.filter((block) => block.type === type).map((block) => String(block[key]))
