import { RegentError } from '../../src/kernel/errors.ts'
import type { JsonObject } from '../../src/kernel/json.ts'
import type { ConnectOptions, Tool, ToolCallOptions, ToolResult, ToolServer, ToolServers } from '../../src/ports/tool-server.ts'

export interface FakeCall {
  readonly server: string
  readonly tool: string
  readonly args: JsonObject
  readonly approved: boolean
}

export type FakeTool = Partial<Omit<Tool, 'name'>> & {
  readonly run?: (args: JsonObject, options: ToolCallOptions) => string | ToolResult | Promise<string | ToolResult>
}

/** Tool servers in this process: each a record of tools. One that is not listed cannot be connected. */
export class FakeTools implements ToolServers {
  readonly calls: FakeCall[] = []
  readonly servers: Record<string, Record<string, FakeTool>>
  readonly notices: Record<string, string> = {}
  /** How often each was connected or tried. */
  readonly tried: Record<string, number> = {}
  readonly options: Record<string, ConnectOptions> = {}
  readonly #ends = new Map<string, (reason: string) => void>()
  closed = 0

  constructor(servers: Record<string, Record<string, FakeTool>>) {
    this.servers = servers
  }

  /** The server ends by itself. */
  kill(id: string): void {
    this.#ends.get(id)?.('it ended with code 1')
    this.#ends.delete(id)
  }

  async connect(id: string, _config: unknown, options: ConnectOptions): Promise<ToolServer> {
    this.tried[id] = (this.tried[id] ?? 0) + 1
    this.options[id] = options
    const tools = this.servers[id]
    if (tools === undefined) throw new RegentError('UNAVAILABLE', `${id} cannot be started`, { hint: `install ${id}` })
    const closed = new Promise<string>((end) => this.#ends.set(id, end))
    return {
      id,
      notice: this.notices[id] ?? null,
      closed,
      tools: async () =>
        Object.entries(this.servers[id] ?? {}).map(([name, { description = '', inputSchema = { type: 'object' }, hints = {} }]) => ({
          name,
          description,
          inputSchema,
          hints,
        })),
      call: (tool, args, call) => this.#call(id, tool, args, call),
      close: async () => {
        this.closed++
      },
    }
  }

  async #call(server: string, tool: string, args: JsonObject, options: ToolCallOptions): Promise<ToolResult> {
    if (!this.#ends.has(server)) throw new RegentError('UNAVAILABLE', `${server} is gone`)
    this.calls.push({ server, tool, args, approved: options.approved })
    const result = (await this.servers[server]?.[tool]?.run?.(args, options)) ?? 'done'
    return typeof result === 'string' ? { isError: false, content: [{ type: 'text', text: result }] } : result
  }
}
