import { McpServer } from '@modelcontextprotocol/server'
import { registerFurtherTools, registerLaterTools } from './more-worker-tools.ts'
import { registerNativeTools } from './native-tools.ts'
import { registerRaceTools } from './race-tools.ts'
import type { ToolHost } from './tool-host.ts'
import { registerTranscripts } from './transcripts.ts'
import { registerWorkerTools } from './worker-tools.ts'

export const toolSets = ['workers', 'agents', 'all'] as const
export type ToolSet = (typeof toolSets)[number]

export interface ToolServing {
  readonly tools: ToolSet
  readonly version: string
  /** Whether clients are told when a transcript changes. */
  readonly subscribe: boolean
}

/** A server of one connection, or of one request. */
export function createToolServer(host: ToolHost, { tools, version, subscribe }: ToolServing): McpServer {
  const hasWorkers = tools !== 'agents'
  const name = tools === 'workers' ? 'Async Worker Manager' : 'Regent'
  const capabilities = { tools: {}, ...(hasWorkers && { resources: { subscribe } }) }
  const server = new McpServer({ name, version }, { capabilities, instructions: instructionsOf(tools) })
  if (hasWorkers) {
    registerWorkerTools(server, host)
    registerLaterTools(server, host)
    registerFurtherTools(server, host)
    registerRaceTools(server, host)
    registerTranscripts(server, host)
  }
  if (tools !== 'workers') registerNativeTools(server, host)
  return server
}

const instructionsOf = (tools: ToolSet): string =>
  tools === 'agents'
    ? 'Agents of this Regent: create, start, stop, talk to them, answer what they ask.'
    : 'create_async_worker starts workers that go on by themselves; wait tells of the first that completes; peek shows what it printed; write_to_worker goes on with it.'
