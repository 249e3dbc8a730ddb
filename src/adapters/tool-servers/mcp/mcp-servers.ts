import type { McpServer } from '../../../contract/team.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Logger } from '../../../kernel/logger.ts'
import { findProgram } from '../../../kernel/programs.ts'
import type { ConnectOptions, ToolServer, ToolServers } from '../../../ports/tool-server.ts'
import { ChildTransport } from './child-transport.ts'
import { createClient, type Era } from './client.ts'
import { checkFolder, noCommand } from './command.ts'
import { createMcpServer, hintOf } from './mcp-server.ts'
import { openWebTransport } from './web-transport.ts'

export interface McpOptions {
  readonly clock: Clock
  readonly logger: Logger
  /** Stands in for `node` where the PATH has none: the program Regent itself runs on. */
  readonly nodePath: string
  /** Of Regent, told to servers. */
  readonly version: string
  /** Where a server without `cwd` runs. */
  readonly cwd: string
  /** Until a server has answered its greeting; in ms. */
  readonly connectMs?: number
}

const defaultConnectMs = 30_000
const defaultCallMs = 300_000

/** MCP servers over stdio, SSE and Streamable HTTP, in both eras of the protocol. */
export function createMcpServers(options: McpOptions): ToolServers {
  return {
    async connect(id, config, connect) {
      connect.signal.throwIfAborted()
      const first = config.transport === 'sse' ? 'legacy' : 'auto'
      const attempt = await open(id, config, connect, options, first)
      if (attempt.server !== undefined) return attempt.server
      // A server of the old era may end at the first word it does not know: it is started again and greeted the old way.
      if (!attempt.diedAtProbe) throw attempt.error
      const second = await open(id, config, connect, options, 'legacy')
      if (second.server === undefined) throw second.error
      return second.server
    },
  }
}

type Attempt = { readonly server: ToolServer } | { readonly server?: undefined; readonly error: unknown; readonly diedAtProbe: boolean }

async function open(id: string, config: McpServer, connect: ConnectOptions, options: McpOptions, era: Era): Promise<Attempt> {
  const { clock, logger, version, connectMs = defaultConnectMs } = options
  const scrub = scrubber(config)
  const state = connectionState(scrub)
  const client = await createClient(config, era, version, connect, logger.child({ server: id }))
  const lose = (reason: string) => {
    state.mark(reason)
    void client.close()
  }
  const child = config.transport === 'stdio' ? await childOf(id, config, connect, options, scrub) : undefined
  const transport = child ?? (await openWebTransport({ config, clock, onLost: lose }))
  client.onclose = () => state.mark(child?.reason ?? 'the connection was closed')
  const end = async () => {
    state.stop()
    await client
      .close()
      .catch((error) => logger.debug({ server: id, reason: scrub(reasonOf(error)) }, 'an MCP connection did not close well'))
    await transport.close()
  }
  const tooLong = new AbortController()
  const cancel = clock.after(connectMs, () => tooLong.abort(new RegentError('TIMED_OUT', `it did not answer within ${connectMs / 1000} s`)))
  const signal = AbortSignal.any([connect.signal, tooLong.signal])
  try {
    await unlessAborted(client.connect(transport, { signal, timeout: connectMs }), signal)
  } catch (thrown) {
    const died = child?.hasEnded === true
    const reason = tooLong.signal.aborted ? reasonOf(tooLong.signal.reason) : died ? child.reason : reasonOf(thrown)
    await end()
    connect.signal.throwIfAborted()
    const error = new RegentError('UNAVAILABLE', `the MCP server ${id} cannot be used: ${scrub(reason)}`, hintOf(thrown))
    return { error, diedAtProbe: died && child.pid !== null && era === 'auto' && !tooLong.signal.aborted }
  } finally {
    cancel()
  }
  const onCalled = () => child?.remember()
  onCalled()
  const callMs = config.read_timeout_seconds === undefined ? defaultCallMs : config.read_timeout_seconds * 1000
  return { server: createMcpServer({ id, client, callMs, lost: state.reason, lose, closed: state.closed, onCalled, end, scrub }) }
}

async function childOf(
  id: string,
  config: McpServer,
  { baseEnv }: ConnectOptions,
  options: McpOptions,
  scrub: (text: string) => string,
): Promise<ChildTransport> {
  const { command, args, cwd = options.cwd } = config
  if (command === undefined)
    throw new RegentError('INVALID', `the MCP server ${id} has transport stdio and no command`, {
      hint: 'Write `command`, or another `transport` with a `url`.',
    })
  const env = { ...baseEnv, ...config.env }
  const place = { command, cwd, path: env.PATH ?? '' }
  await checkFolder(cwd)
  const file = (await findProgram(command, place.path, place.cwd)) ?? (command === 'node' ? options.nodePath : undefined)
  if (file === undefined) throw noCommand(place)
  const { deserializeMessage } = await import('@modelcontextprotocol/client')
  const logger = options.logger.child({ server: id })
  return new ChildTransport({ file, args, cwd, env, clock: options.clock, logger, scrub, parse: deserializeMessage })
}

/** Whether the connection lives; the first reason for its end counts, and none that comes after `stop`. */
function connectionState(scrub: (text: string) => string) {
  const { promise: closed, resolve } = Promise.withResolvers<string>()
  let lost: string | undefined
  let stopped = false
  return {
    closed,
    reason: () => lost ?? (stopped ? 'it was closed' : undefined),
    mark(reason: string) {
      if (stopped || lost !== undefined) return
      lost = scrub(reason)
      resolve(lost)
    },
    stop() {
      stopped = true
    },
  }
}

/** Takes the server's secrets out of what is shown: the values of its environment and headers, and its key. */
function scrubber({ env, headers, auth, args }: McpServer): (text: string) => string {
  const secrets = [
    ...Object.values(env),
    ...Object.values(headers),
    auth?.api_key ?? '',
    ...args.filter((arg) => /key|token|secret|password/i.test(arg)),
  ]
  const worth = secrets.filter((secret) => secret.length >= 6).sort((a, b) => b.length - a.length)
  return (text) => worth.reduce((shown, secret) => shown.replaceAll(secret, '***'), text).slice(0, 4_000)
}

async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const stop = () => reject(signal.reason)
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    return await Promise.race([work, promise])
  } finally {
    signal.removeEventListener('abort', stop)
    // Whichever lost the race has nobody to tell.
    work.catch(() => {})
  }
}
