import { fileURLToPath } from 'node:url'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { onTestFinished } from 'vitest'

const launcher = fileURLToPath(new URL('../../bin/regent', import.meta.url))

export type Era = 'legacy' | 'modern'
export interface Answer {
  readonly text: string
  readonly isError: boolean
  readonly data: unknown
  readonly structured: Record<string, unknown> | undefined
}

/** An MCP client of Regent's tools; its answers as FastMCP's client shows them. */
export class ToolClient {
  readonly #client: Client
  readonly #transport: StdioClientTransport | StreamableHTTPClientTransport

  private constructor(client: Client, transport: StdioClientTransport | StreamableHTTPClientTransport) {
    this.#client = client
    this.#transport = transport
  }

  static async stdio(
    env: Readonly<Record<string, string>>,
    cwd: string,
    { era = 'legacy', args = [] as string[] } = {},
  ): Promise<ToolClient> {
    const transport = new StdioClientTransport({ command: launcher, args: ['mcp', ...args], env: { ...env }, cwd, stderr: 'ignore' })
    return ToolClient.#connect(transport, era as Era)
  }

  static http(url: string, { era = 'legacy', headers = {} as Record<string, string> } = {}): Promise<ToolClient> {
    return ToolClient.#connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }), era as Era)
  }

  static async #connect(transport: StdioClientTransport | StreamableHTTPClientTransport, era: Era): Promise<ToolClient> {
    const client = new Client({ name: 'test', version: '0' }, era === 'modern' ? { versionNegotiation: { mode: 'auto' } } : {})
    onTestFinished(() => client.close().catch(() => undefined))
    await client.connect(transport)
    return new ToolClient(client, transport)
  }

  get client(): Client {
    return this.#client
  }

  /** Of the stdio server. */
  get pid(): number {
    return this.#transport instanceof StdioClientTransport ? (this.#transport.pid ?? 0) : 0
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  async call(name: string, args: Record<string, unknown> = {}, signal?: AbortSignal): Promise<Answer> {
    const options = { timeout: 120_000, ...(signal && { signal }) }
    const result = await this.#client.callTool({ name, arguments: args }, options)
    const [first] = result.content as { text: string }[]
    const structured = result.structuredContent as Record<string, unknown> | undefined
    const data = structured && 'result' in structured && Object.keys(structured).length === 1 ? structured.result : structured
    return { text: first?.text ?? '', isError: result.isError === true, data, structured }
  }

  /** Throws, as FastMCP's client does, what is told as an error. */
  async ask(name: string, args: Record<string, unknown> = {}): Promise<Answer> {
    const answer = await this.call(name, args)
    if (answer.isError) throw new Error(answer.text)
    return answer
  }
}
