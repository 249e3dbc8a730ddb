import { isObject, type JsonObject, tryParse } from '../kernel/json.ts'
import type { Envelope } from './messages.ts'

/** The wire format of agents' channels (CONTRACT.md 1.4 and 1.5): what Regent and the runner both speak there. */

export type Heard =
  | { readonly kind: 'prompt'; readonly content: string; readonly metadata: JsonObject }
  | { readonly kind: 'answer'; readonly requestId: string; readonly confirmed: boolean }
  /** Whose turn it is to take what comes on a topic that keeps nothing. */
  | { readonly kind: 'listener'; readonly what: 'here' | 'gone'; readonly run: string }
  | { readonly kind: 'other' }

/** Only `type: user` with content is a prompt; other objects are not; a JSON text or anything that is not JSON is one as it stands. */
export function hear(body: string): Heard {
  const value = tryParse(body)
  if (typeof value === 'string') return prompt(value, {})
  if (value === undefined) return prompt(body, {})
  if (!isObject(value)) return { kind: 'other' }
  if (value.type === 'tool_confirmation_response' && typeof value.request_id === 'string')
    return { kind: 'answer', requestId: value.request_id, confirmed: value.confirmed === true }
  if (value.namespace === LISTENER) return listener(value.data)
  if (value.type !== 'user' || typeof value.content !== 'string') return { kind: 'other' }
  return prompt(value.content, isObject(value.metadata) ? (value.metadata as JsonObject) : {})
}

const LISTENER = 'regent.channel'

function listener(data: unknown): Heard {
  if (!isObject(data) || (data.listener !== 'here' && data.listener !== 'gone') || typeof data.run !== 'string') return { kind: 'other' }
  return { kind: 'listener', what: data.listener, run: data.run }
}

/**
 * A log event, which agents ignore, on a topic that keeps nothing: from here on a run takes what comes there, or no longer. Every
 * subscriber sees it at the same place among the messages, so that run and Regent take turns without a gap.
 */
export const listenerEvent = (what: 'here' | 'gone', agent: string, run: string, at: number): JsonObject => ({
  timestamp: new Date(at).toISOString(),
  type: 'info',
  name: 'listener',
  namespace: LISTENER,
  message: what === 'here' ? `${agent} listens` : `${agent} stops listening`,
  data: { listener: what, run },
  trace_id: null,
  span_id: null,
  context: null,
})

const prompt = (content: string, metadata: JsonObject): Heard =>
  content.trim() === '' ? { kind: 'other' } : { kind: 'prompt', content, metadata }

/** What an agent said, as its channel carries it; undefined for what is not for channels. */
export function envelopeOf(said: Readonly<Record<string, unknown>>, channelId: string): Envelope | undefined {
  const { type, content, metadata } = said
  if (typeof type !== 'string' || type === 'notice') return undefined
  return { type, content, channel_id: channelId, metadata: isObject(metadata) ? metadata : {} }
}

/** `approval` as the link's `approval_requested` and the journal's `approval.requested` have it. */
export function confirmationRequest(approval: Readonly<Record<string, unknown>>): JsonObject {
  const { id, server, tool, arguments: args, requested_at: requested, expires_at: expires, subagent } = approval as JsonObject
  return {
    type: 'tool_confirmation_request',
    request_id: id ?? null,
    server_name: server ?? null,
    tool_name: tool ?? null,
    arguments: args ?? {},
    timestamp: Number(requested) / 1000,
    timeout_ms: Number(expires) - Number(requested),
    agent_name: subagent ?? null,
  }
}
