import type { McpServer } from '../../contract/team.ts'
import { findProgram } from '../../kernel/programs.ts'
import type { ConnectOptions, ToolServers } from '../../ports/tool-server.ts'
import { createFetchServer } from './fetch/fetch-server.ts'
import { createMcpServers, type McpOptions } from './mcp/mcp-servers.ts'

export interface ToolServersOptions extends McpOptions {
  /** Hosts, with a port or without, that the built-in fetch may reach at private addresses. */
  readonly allowHosts?: readonly string[]
}

/** MCP servers, and a built-in one where the configuration names `uvx mcp-server-fetch` and there is no uvx. */
export function createToolServers(options: ToolServersOptions): ToolServers {
  const mcp = createMcpServers(options)
  const { version, allowHosts = [] } = options
  return {
    async connect(id, config, connect) {
      connect.signal.throwIfAborted()
      const args = fetchArguments(config)
      if (args === undefined || (await hasCommand(config, connect, options.cwd))) return await mcp.connect(id, config, connect)
      const timeoutMs = config.read_timeout_seconds === undefined ? {} : { timeoutMs: config.read_timeout_seconds * 1000 }
      return createFetchServer(id, args, { version, allowHosts, ...timeoutMs })
    },
  }
}

const fetchPackage = /^mcp-server-fetch([@=~<>].*)?$/

/** What follows `mcp-server-fetch` on a command line of uvx; undefined for any other server. */
function fetchArguments({ transport, command, args }: McpServer): readonly string[] | undefined {
  if (transport !== 'stdio' || command?.split('/').at(-1) !== 'uvx') return undefined
  const at = args.findIndex((arg) => fetchPackage.test(arg))
  return at === -1 ? undefined : args.slice(args.findLastIndex((arg) => fetchPackage.test(arg)) + 1)
}

async function hasCommand({ command = '', env, cwd }: McpServer, { baseEnv }: ConnectOptions, ownCwd: string): Promise<boolean> {
  const path = env.PATH ?? baseEnv.PATH ?? ''
  return (await findProgram(command, path, cwd ?? ownCwd)) !== undefined
}
