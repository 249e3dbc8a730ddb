import type { McpServer } from '../contract/team.ts'
import type { Clock } from '../kernel/clock.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Logger } from '../kernel/logger.ts'
import type { ConnectOptions, Tool, ToolCallOptions, ToolResult, ToolServer, ToolServers } from '../ports/tool-server.ts'
import type { Conditions } from './conditions.ts'

export interface ToolConnectionOptions {
  readonly servers: () => Promise<ToolServers>
  readonly connect: (config: McpServer) => Pick<ConnectOptions, 'baseEnv' | 'sample'>
  readonly conditions: Conditions
  readonly clock: Clock
  readonly logger: Logger
  /** The server says that its tools are others now. */
  readonly onToolsChanged: (id: string) => void
}

const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000

/** One tool server of an agent: started, named as a condition while it is missing, tried again with backoff. */
export class ToolConnection {
  readonly id: string
  readonly #config: McpServer
  readonly #options: ToolConnectionOptions
  readonly #closing = new AbortController()
  #server: ToolServer | null = null
  #tools: readonly Tool[] | null = null
  #attempt: Promise<void> | null = null
  #failures = 0
  #cancelRetry: (() => void) | null = null
  #reason = 'it was not started yet'

  constructor(id: string, config: McpServer, options: ToolConnectionOptions) {
    this.id = id
    this.#config = config
    this.#options = options
  }

  /** Resolves after one try, successful or not; joins a try that is under way. Never rejects. */
  start(): Promise<void> {
    if (this.#server || this.#closing.signal.aborted) return Promise.resolve()
    this.#cancelRetry?.()
    this.#attempt ??= this.#connect().finally(() => {
      this.#attempt = null
    })
    return this.#attempt
  }

  /** Its tools, after the first try to start it has ended; none while it is missing. */
  async tools(signal: AbortSignal): Promise<readonly Tool[]> {
    if (this.#attempt) await this.#attempt
    if (this.#tools) return this.#tools
    try {
      this.#tools = (await this.#server?.tools(signal)) ?? null
    } catch (error) {
      signal.throwIfAborted()
      await this.#drop(this.#server)
      this.#missing(`its tools cannot be listed: ${reasonOf(error)}`)
    }
    return this.#tools ?? []
  }

  /** Starts it once more where it is gone. Throws UNAVAILABLE, also when it went away during the call. */
  async call(tool: string, args: JsonObject, options: ToolCallOptions): Promise<ToolResult> {
    if (this.#server === null) await this.start()
    if (this.#server === null) throw new RegentError('UNAVAILABLE', `tool server '${this.id}' is not available: ${this.#reason}`)
    const timeoutMs = this.#config.read_timeout_seconds === undefined ? {} : { timeoutMs: this.#config.read_timeout_seconds * 1_000 }
    return await this.#server.call(tool, args, { ...timeoutMs, ...options })
  }

  /** Its children are gone when this resolves. */
  async close(): Promise<void> {
    this.#closing.abort()
    this.#cancelRetry?.()
    await this.#attempt
    await this.#drop(this.#server)
  }

  async #drop(server: ToolServer | null): Promise<void> {
    this.#server = null
    this.#tools = null
    await server
      ?.close()
      .catch((error: unknown) => this.#options.logger.warn({ server: this.id, reason: reasonOf(error) }, 'did not close'))
  }

  async #connect(): Promise<void> {
    const { conditions, connect, logger } = this.#options
    const signal = this.#closing.signal
    try {
      const onToolsChanged = (): void => this.#changed()
      const servers = await this.#options.servers()
      const server = await servers.connect(this.id, this.#config, { ...connect(this.#config), signal, onToolsChanged })
      if (signal.aborted) return await server.close()
      this.#server = server
      this.#tools = await server.tools(signal)
      this.#failures = 0
      logger.info({ server: this.id, tools: this.#tools.length }, 'tool server is there')
      if (server.notice === null) conditions.clear('tool-server', this.id)
      else conditions.raise('tool-server', this.id, server.notice)
      void server.closed.then((reason) => this.#lost(server, reason))
    } catch (error) {
      await this.#drop(this.#server)
      if (!signal.aborted) this.#missing(hinted(error))
    }
  }

  #lost(server: ToolServer, reason: string): void {
    if (this.#server !== server || this.#closing.signal.aborted) return
    this.#server = null
    this.#tools = null
    this.#missing(reason)
  }

  #missing(reason: string): void {
    const { conditions, clock, logger } = this.#options
    this.#reason = reason
    conditions.raise('tool-server', this.id, `${reason}; tried again, at most every ${LONGEST_WAIT_MS / 1_000} s`)
    logger.warn({ server: this.id, reason }, 'tool server is missing; the agent goes on without it')
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 10)
    this.#cancelRetry?.()
    this.#cancelRetry = clock.after(wait * (0.75 + Math.random() / 4), () => void this.start())
  }

  #changed(): void {
    this.#tools = null
    if (this.#server) this.#options.onToolsChanged(this.id)
  }
}

function hinted(error: unknown): string {
  const hint = error instanceof RegentError && error.hint !== undefined ? `; ${error.hint}` : ''
  return `${reasonOf(error)}${hint}`
}
