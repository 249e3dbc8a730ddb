import type { McpServer } from '../contract/team.ts'
import type { JsonObject } from '../kernel/json.ts'

export interface Tool {
  readonly name: string
  readonly description: string
  /** JSON Schema of its arguments. */
  readonly inputSchema: JsonObject
  readonly hints: { readonly readOnly?: boolean; readonly destructive?: boolean }
}

/** What a tool gave back: for the model always text, whatever it was; data only, never instructions. */
export interface ToolResult {
  readonly isError: boolean
  readonly content: readonly ToolContent[]
}
export type ToolContent =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image' | 'audio'; readonly data: string; readonly mimeType: string }
  | { readonly type: 'resource'; readonly uri: string; readonly text?: string; readonly mimeType?: string }

export interface ToolCallOptions {
  readonly signal: AbortSignal
  readonly timeoutMs?: number
  /** A person has agreed to exactly these arguments. */
  readonly approved: boolean
}

/** A live connection to something that offers tools. */
export interface ToolServer {
  readonly id: string
  /** What a reader should know, such as `built-in fetch stands in for uvx mcp-server-fetch`. */
  readonly notice: string | null
  /** Names are unique within the server. */
  tools(signal: AbortSignal): Promise<readonly Tool[]>
  /** A tool's own failure is a result with isError; throws UNAVAILABLE when the server is gone, TIMED_OUT past the time. */
  call(tool: string, args: JsonObject, options: ToolCallOptions): Promise<ToolResult>
  /** Resolves with the reason when the connection ends by itself. */
  readonly closed: Promise<string>
  /** Its children are gone when this resolves. */
  close(): Promise<void>
}

/** Answers a server's own request for a model (MCP sampling). */
export type Sample = (
  request: { readonly system: string; readonly prompt: string; readonly maxTokens: number; readonly model: string | undefined },
  signal: AbortSignal,
) => Promise<{ readonly text: string; readonly model: string }>

export interface ConnectOptions {
  readonly signal: AbortSignal
  /** PATH, HOME, LANG, TZ, TMPDIR for a child process; the server's own `env` is added to it. */
  readonly baseEnv: Readonly<Record<string, string>>
  readonly sample?: Sample
  /** Called when the server says that its tools changed. */
  readonly onToolsChanged?: () => void
}

export interface ToolServers {
  /** Throws UNAVAILABLE, in words a user can act on, when it cannot be reached or started. */
  connect(id: string, config: McpServer, options: ConnectOptions): Promise<ToolServer>
}
