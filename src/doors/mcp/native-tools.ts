import { randomUUID } from 'node:crypto'
import type { McpServer } from '@modelcontextprotocol/server'
import type { OperationShape } from '../../contract/operation.ts'
import { operationList, type ValueName } from '../../contract/operations.ts'
import { objectAnswer, type ToolAnswer, told } from './results.ts'
import type { ToolHost } from './tool-host.ts'

/** What an answer may hold, so that no list fills a model's context. */
const MOST_CHARACTERS = 50_000

/** The operations as tools: `agents.start` is `agents_start`. Those of workers have tools of their own; no model makes tokens. */
export function registerNativeTools(server: McpServer, host: ToolHost): void {
  for (const operation of operationList)
    if (operation.reply === 'value' && !/^(workers|races|tokens)\./.test(operation.name)) register(server, host, operation)
}

function register(server: McpServer, host: ToolHost, { name, summary, effect, input }: OperationShape): void {
  const annotations = { readOnlyHint: effect === 'read', destructiveHint: effect === 'destroy', idempotentHint: effect === 'read' }
  server.registerTool(name.replaceAll('.', '_'), { description: summary, inputSchema: input, annotations }, (given: object, { mcpReq }) =>
    told(async () => {
      const key = effect === 'read' ? {} : { key: randomUUID() }
      return bounded(await host.call(name as ValueName, given, { signal: mcpReq.signal, ...key }))
    }),
  )
}

function bounded(value: object): ToolAnswer {
  const text = JSON.stringify(value)
  if (text.length <= MOST_CHARACTERS) return objectAnswer(value)
  return objectAnswer({ truncated: true, characters: text.length, text: text.slice(0, MOST_CHARACTERS).toWellFormed() })
}
