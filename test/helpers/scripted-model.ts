import { onTestFinished } from 'vitest'
import { createModels, type ModelsOptions } from '../../src/adapters/models/models.ts'
import { parseScript } from '../../src/adapters/models/offline/script.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { isObject } from '../../src/kernel/json.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Models } from '../../src/ports/model.ts'
import { type ModelScript, type ModelServer, type Reply, type SeenRequest, startModelServer } from './model-server.ts'

/** Models whose providers are a server with this script, closed when the test ends; retries hardly wait. */
export async function servedModels(
  script: ModelScript,
  over: Partial<ModelsOptions> = {},
): Promise<{ models: Models; server: ModelServer }> {
  const server = await startModelServer({ script })
  onTestFinished(() => server.close())
  const models = createModels({
    keys: { anthropic: 'sk-ant-made-up', openai: 'sk-made-up' },
    baseUrls: { anthropic: server.url, openai: server.url },
    defaultModel: 'haiku',
    clock: systemClock,
    logger: silentLogger,
    retry: { firstMs: 2 },
    ...over,
  })
  return { models, server }
}

/** Plays a model that obeys the script language of the offline model. */
export function obedient(seen: SeenRequest): Reply {
  const [last] = (Array.isArray(seen.body.messages) ? seen.body.messages : []).slice(-1)
  const result = resultIn(last)
  if (result !== undefined) return { text: `The tool said: ${result}` }
  const script = parseScript(seen.text)
  const failure = script.find((command) => command.kind === 'fail')
  if (failure !== undefined) return { status: 400, error: { type: 'invalid_request_error', message: failure.text } }
  const text = script.flatMap((command) => (command.kind === 'say' ? [...(command.text.match(/.{1,10}/gsu) ?? [])] : []))
  const calls = script.flatMap((command) => (command.kind === 'call' ? [{ name: offered(seen, command.tool), input: command.args }] : []))
  const sleeps = script.some((command) => command.kind === 'sleep')
  return { text, calls, ...(sleeps && { break: { after: 1, how: 'hang' } }) }
}

/** Of an Anthropic or an OpenAI message. */
function resultIn(message: unknown): string | undefined {
  if (!isObject(message)) return undefined
  if (message.role === 'tool') return String(message.content)
  const parts = Array.isArray(message.content) ? message.content : []
  if (parts.some((part) => isObject(part) && part.type === 'text')) return undefined
  const block = parts.find((part) => isObject(part) && part.type === 'tool_result')
  return isObject(block) ? JSON.stringify(block.content) : undefined
}

/** A model sees the names that its wire allows: the one that comes closest is meant. */
function offered({ body }: SeenRequest, wanted: string): string {
  const names = (Array.isArray(body.tools) ? body.tools : []).map((tool) => String(tool.name ?? tool.function?.name))
  const plain = wanted.replace(/[^A-Za-z0-9_-]/g, '_')
  return names.find((name) => name === wanted) ?? names.find((name) => name.startsWith(plain) && name !== plain) ?? wanted
}
