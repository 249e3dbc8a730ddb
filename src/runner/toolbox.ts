import type { z } from 'zod'
import type { McpServer, toolCallRule } from '../contract/team.ts'
import type { Tool } from '../ports/tool-server.ts'
import { shorten } from './bounds.ts'
import { ToolConnection, type ToolConnectionOptions } from './tool-connection.ts'

export type ToolRule = z.output<typeof toolCallRule>

/** A tool as one agent sees it. */
export interface OfferedTool {
  /** What the model is given: its name there is unique among the agent's tools. */
  readonly offered: Tool
  readonly server: ToolConnection
  /** Its name at the server. */
  readonly name: string
  readonly rule: ToolRule
}

const DESCRIPTION_CHARS = 4_000
const SCHEMA_CHARS = 32_000
const NAME_CHARS = 64
const TOOLS = 128

/** All tool servers of an agent. */
export class Toolbox {
  readonly #servers = new Map<string, ToolConnection>()
  readonly #configs: Readonly<Record<string, McpServer>>
  readonly #options: ToolConnectionOptions

  constructor(configs: Readonly<Record<string, McpServer>>, options: ToolConnectionOptions) {
    this.#configs = configs
    this.#options = options
    for (const [id, config] of Object.entries(configs)) this.#servers.set(id, new ToolConnection(id, config, options))
  }

  /** Starts those that somebody uses, all at once; resolves when each was tried. */
  async start(used: ReadonlySet<string>): Promise<void> {
    for (const id of used) if (!this.#servers.has(id)) this.#unknown(id)
    await Promise.all([...this.#servers.values()].filter((server) => used.has(server.id)).map((server) => server.start()))
  }

  /** The tools of these servers, under names that differ. */
  async offer(ids: readonly string[], signal: AbortSignal): Promise<OfferedTool[]> {
    const servers = [...new Set(ids)].flatMap((id) => this.#servers.get(id) ?? [])
    const lists = await Promise.all(servers.map(async (server) => (await server.tools(signal)).map((tool) => ({ server, tool }))))
    const all = lists.flat().slice(0, TOOLS)
    const taken = new Set<string>()
    return all.map(({ server, tool }) => {
      const clashes = all.some((other) => other.server !== server && other.tool.name === tool.name)
      const name = unique(clashes ? `${server.id}__${tool.name}` : tool.name, taken)
      return { offered: bounded(name, tool), server, name: tool.name, rule: this.#rule(server.id, tool.name) }
    })
  }

  server(id: string): ToolConnection | undefined {
    return this.#servers.get(id)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.close()))
  }

  #rule(server: string, tool: string): ToolRule {
    const written = this.#configs[server]?.tool_calls.find((rule) => rule.name === tool)
    return written ?? { name: tool, seek_confirm: false, time_to_confirm: 0, default: 'reject' }
  }

  #unknown(id: string): void {
    const known = Object.keys(this.#configs)
    const there = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`
    this.#options.conditions.raise(
      'tool-server',
      id,
      `'${id}' is not in json_config.mcp.servers (${there}); add it, or take it out of "servers"`,
    )
  }
}

/** Model providers allow letters, digits, _ and - only. */
function unique(wanted: string, taken: Set<string>): string {
  const base = wanted.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, NAME_CHARS) || 'tool'
  let name = base
  for (let number = 2; taken.has(name); number++) name = `${base.slice(0, NAME_CHARS - 4)}_${number}`
  taken.add(name)
  return name
}

function bounded(name: string, tool: Tool): Tool {
  const schema = JSON.stringify(tool.inputSchema).length > SCHEMA_CHARS ? { type: 'object' } : tool.inputSchema
  return { name, description: shorten(tool.description, DESCRIPTION_CHARS), inputSchema: schema, hints: tool.hints }
}
