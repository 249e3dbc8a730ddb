import type { Client, CreateMessageRequest, JsonSchemaValidator, jsonSchemaValidator } from '@modelcontextprotocol/client'
import type { McpServer } from '../../../contract/team.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import type { ConnectOptions } from '../../../ports/tool-server.ts'

export type Era = 'auto' | 'legacy'

const probeMs = 10_000
const mostSampledTokens = 8_192
const longestPrompt = 400_000

/** A client that offers the server what its configuration allows: roots, sampling, and a plain no to every elicitation. */
export async function createClient(config: McpServer, era: Era, version: string, options: ConnectOptions, logger: Logger): Promise<Client> {
  const { Client } = await import('@modelcontextprotocol/client')
  const { sample, onToolsChanged } = options
  const roots = rootsOf(config)
  const model = sample && config.sampling?.model
  const declines = (config.elicitation?.mode ?? 'none') !== 'none'
  const client = new Client(
    { name: 'regent', version },
    {
      versionNegotiation: era === 'auto' ? { mode: 'auto', probe: { timeoutMs: probeMs } } : { mode: 'legacy' },
      capabilities: {
        ...(roots.length > 0 && { roots: {} }),
        ...(model !== undefined && { sampling: {} }),
        ...(declines && { elicitation: {} }),
      },
      jsonSchemaValidator: passing,
      ...(onToolsChanged && { listChanged: { tools: { autoRefresh: false, onChanged: () => onToolsChanged() } } }),
    },
  )
  client.onerror = (error) => logger.debug({ reason: error.message }, 'an MCP connection reported an error')
  if (roots.length > 0) client.setRequestHandler('roots/list', () => ({ roots }))
  if (declines) client.setRequestHandler('elicitation/create', () => ({ action: 'decline' as const }))
  if (sample !== undefined && model !== undefined)
    client.setRequestHandler('sampling/createMessage', async ({ params }, { mcpReq }) => {
      const maxTokens = Math.min(params.maxTokens, mostSampledTokens)
      const answer = await sample({ system: params.systemPrompt ?? '', prompt: promptOf(params), maxTokens, model }, mcpReq.signal)
      return {
        model: answer.model,
        role: 'assistant' as const,
        content: { type: 'text' as const, text: answer.text },
        stopReason: 'endTurn',
      }
    })
  return client
}

// What a tool returns goes to a model as text: a server that breaks its own output schema is no reason to lose the result.
const passing: jsonSchemaValidator = {
  getValidator<T>(): JsonSchemaValidator<T> {
    return (input) => ({ valid: true, data: input as T, errorMessage: undefined })
  },
}

function rootsOf({ roots }: McpServer): { uri: string; name?: string }[] {
  return roots.map(({ uri, name }) => {
    if (!uri.startsWith('file://'))
      throw new RegentError('INVALID', `the root ${uri.slice(0, 200)} is not a file:// URI`, {
        hint: 'Write roots as file:///absolute/path.',
      })
    return { uri, ...(name !== undefined && { name }) }
  })
}

/** One text of several messages; parts that are no text are named. */
function promptOf({ messages }: CreateMessageRequest['params']): string {
  const told = messages.map(({ role, content }) => {
    const parts = Array.isArray(content) ? content : [content]
    const text = parts.map((part) => (part.type === 'text' ? part.text : `[${part.type}]`)).join('\n')
    return messages.length === 1 ? text : `${role}: ${text}`
  })
  return told.join('\n\n').slice(0, longestPrompt)
}
