import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { runnerVariables } from '../contract/link.ts'
import { PERMISSION_TIMEOUT_VARIABLE } from '../contract/worker-link.ts'
import { systemClock } from '../kernel/clock.ts'
import { RegentError, reasonOf, systemCode } from '../kernel/errors.ts'
import { isObject, type Json, type JsonObject } from '../kernel/json.ts'
import { JsonRpcLines } from './json-rpc-lines.ts'
import { askRegent } from './permission-question.ts'

/** What one turn is: the first argument of the program; the second is the prompt. */
const order = z.object({
  command: z.array(z.string()).min(1),
  session: z.string().nullable(),
  model: z.string().nullable(),
  mode: z.string().nullable(),
  ask: z.boolean(),
})
export type BridgeOrder = z.output<typeof order>

type Environment = Readonly<Record<string, string | undefined>>

const PROTOCOL_VERSION = 1
const DEFAULT_TIMEOUT_S = 120
const TEXT_CHARS = 64 * 1024
const STOP_MS = 1_500
const DRAIN_MS = 100
const NOT_FOUND = 127

/** Writes one line of the turn's output. */
type Print = (line: JsonObject) => void

/**
 * The process of a turn whose CLI speaks the Agent Client Protocol: starts the CLI, speaks with it over pipes, prints a JSON line for
 * each thing that it tells, and puts its questions to Regent. Resolves to the exit code.
 */
export async function bridgeTurn(argv: readonly string[], env: Environment, cwd: string): Promise<number> {
  const print: Print = (line) => void process.stdout.write(`${JSON.stringify(line)}\n`)
  const parsed = order.safeParse(JSON.parse(argv[0] ?? 'null'))
  if (!parsed.success) throw new RegentError('INVALID', 'the first argument is no turn: only Regent can start this')
  const [program = '', ...args] = parsed.data.command
  const child = spawn(program, args, { cwd, stdio: ['pipe', 'pipe', 'inherit'] })
  const turn = new AcpTurn(child, { order: parsed.data, env, cwd, print })
  process.on('SIGTERM', () => void turn.cancel())
  process.on('SIGINT', () => void turn.cancel())
  return await turn.run(argv[1] ?? '')
}

interface AcpOptions {
  readonly order: BridgeOrder
  readonly env: Environment
  readonly cwd: string
  readonly print: Print
}

class AcpTurn {
  readonly #options: AcpOptions
  readonly #child: ChildProcess
  readonly #peer: JsonRpcLines
  readonly #stop = new AbortController()
  readonly #exited: Promise<void>
  #session = ''
  /** What a session says when it is loaded is of earlier turns. */
  #listening = false
  #text = ''
  #cost: Json = null
  #failure: Error | null = null

  constructor(child: ChildProcess, options: AcpOptions) {
    this.#options = options
    this.#child = child
    if (child.stdin === null || child.stdout === null) throw new RegentError('INTERNAL', 'the CLI was started without pipes')
    this.#peer = new JsonRpcLines(child.stdout, child.stdin, {
      request: (method, params) => (method === 'session/request_permission' ? this.#permission(params) : undefined),
      notification: (method, { update }) => method === 'session/update' && isObject(update) && this.#update(update as JsonObject),
      stray: (line) => void process.stderr.write(`${line}\n`),
    })
    this.#exited = new Promise((resolve) => {
      child.on('error', (error) => void this.#ended(error, resolve))
      child.on('exit', (code, signal) => void this.#ended(new RegentError('UNAVAILABLE', `it ended with ${signal ?? code}`), resolve))
    })
  }

  async run(prompt: string): Promise<number> {
    const { print, order } = this.#options
    try {
      await this.#open()
      this.#listening = true
      const answer = await this.#peer.request('session/prompt', { sessionId: this.#session, prompt: [{ type: 'text', text: prompt }] })
      this.#flush()
      // Of a session that was gone on with, the cost of earlier turns is in it.
      print({
        type: 'result',
        stop_reason: answer.stopReason ?? 'end_turn',
        usage: answer.usage ?? null,
        cost_usd: order.session === null ? this.#cost : null,
      })
      return 0
    } catch (error) {
      this.#flush()
      return await this.#failed(error)
    } finally {
      await this.#close()
    }
  }

  /** What a stop asks for: the agent is told, and ended where it does not end. */
  async cancel(): Promise<void> {
    this.#stop.abort()
    if (this.#session !== '') this.#peer.notify('session/cancel', { sessionId: this.#session })
    await this.#exitsWithin(STOP_MS)
    this.#child.kill('SIGKILL')
    process.exit(143)
  }

  async #open(): Promise<void> {
    const { order, cwd, print } = this.#options
    const clientCapabilities = { fs: { readTextFile: false, writeTextFile: false }, terminal: false }
    const hello = { protocolVersion: PROTOCOL_VERSION, clientCapabilities, clientInfo: { name: 'regent', version: '1' } }
    const { agentCapabilities } = await this.#peer.request('initialize', hello)
    const place = { cwd, mcpServers: [] }
    const session =
      order.session === null ? await this.#peer.request('session/new', place) : await this.#resume(order.session, agentCapabilities, place)
    this.#session = order.session ?? String(session.sessionId ?? '')
    if (this.#session === '') throw new RegentError('UPSTREAM', 'it gave no session id')
    print({ type: 'session', session_id: this.#session })
    if (order.mode !== null) await this.#peer.request('session/set_mode', { sessionId: this.#session, modeId: order.mode })
    if (order.model !== null) await this.#chooseModel(order.model, session)
  }

  /** Gone on with quietly where that can be, else with all its messages told again. */
  async #resume(sessionId: string, capabilities: Json | undefined, place: JsonObject): Promise<JsonObject> {
    const can = isObject(capabilities) ? capabilities : {}
    const quiet = isObject(can.sessionCapabilities) && isObject(can.sessionCapabilities.resume)
    if (!quiet && can.loadSession !== true) throw new RegentError('UPSTREAM', 'this agent cannot go on with a session')
    try {
      return await this.#peer.request(quiet ? 'session/resume' : 'session/load', { sessionId, ...place })
    } catch (error) {
      throw new RegentError('UPSTREAM', `it cannot go on with a session: ${reasonOf(error)}`, { cause: error })
    }
  }

  async #chooseModel(value: string, { configOptions }: JsonObject): Promise<void> {
    const options = (Array.isArray(configOptions) ? configOptions : []).filter(isObject)
    const option = options.find((one) => one.category === 'model' || one.id === 'model')
    if (option === undefined) await this.#peer.request('session/set_model', { sessionId: this.#session, modelId: value })
    else await this.#peer.request('session/set_config_option', { sessionId: this.#session, configId: String(option.id), value })
  }

  #update(update: JsonObject): void {
    const kind = update.sessionUpdate
    const { cost, content } = update
    if (kind === 'usage_update' && isObject(cost) && cost.currency === 'USD') this.#cost = (cost as JsonObject).amount ?? null
    if (!this.#listening) return
    if (kind !== 'agent_message_chunk') {
      if (kind === 'tool_call' || kind === 'tool_call_update' || kind === 'plan') {
        this.#flush()
        this.#options.print({ type: 'update', update })
      }
    } else if (isObject(content) && typeof content.text === 'string') {
      this.#text += content.text
      if (this.#text.length > TEXT_CHARS) this.#flush()
    }
  }

  /** Pieces of an answer are told as one text. */
  #flush(): void {
    if (this.#text !== '') this.#options.print({ type: 'text', text: this.#text })
    this.#text = ''
  }

  async #permission({ options, toolCall }: JsonObject): Promise<Json> {
    this.#flush()
    const call = (isObject(toolCall) ? toolCall : {}) as JsonObject
    const allow = await this.#allowed(call)
    const kinds = allow ? ['allow_once', 'allow_always'] : ['reject_once', 'reject_always']
    const offered = (Array.isArray(options) ? options : []).filter(isObject)
    const option = kinds.map((kind) => offered.find((one) => one.kind === kind)).find((one) => one !== undefined)
    return { outcome: option === undefined ? { outcome: 'cancelled' } : { outcome: 'selected', optionId: String(option.optionId) } }
  }

  async #allowed(call: JsonObject): Promise<boolean> {
    const { env, order } = this.#options
    const runDir = env[runnerVariables.runDir]
    if (!order.ask || runDir === undefined) return false
    const seconds = Number(env[PERMISSION_TIMEOUT_VARIABLE])
    const tool = String(call.name ?? call.title ?? call.kind ?? 'unknown').slice(0, 500) || 'unknown'
    const input = isObject(call.rawInput) ? call.rawInput : { title: call.title ?? '' }
    const verdict = await askRegent(
      { request_id: randomUUID(), tool, input },
      {
        runDir,
        timeoutMs: (seconds > 0 ? seconds : DEFAULT_TIMEOUT_S) * 1000,
        clock: systemClock,
        signal: this.#stop.signal,
        say: (words) => void process.stderr.write(`acp bridge: ${words}\n`),
      },
    )
    return verdict.allow
  }

  /** What it said last may still be on its way. */
  async #ended(reason: Error, resolve: () => void): Promise<void> {
    this.#failure ??= reason
    resolve()
    await systemClock.sleep(DRAIN_MS)
    this.#peer.end(reasonOf(reason))
  }

  async #failed(error: unknown): Promise<number> {
    const lost = error instanceof RegentError && error.code === 'UNAVAILABLE'
    if (lost) await this.#exitsWithin(STOP_MS)
    const missing = systemCode(this.#failure) === 'ENOENT'
    const message = missing ? `${this.#options.order.command[0]} not in PATH` : reasonOf(lost ? (this.#failure ?? error) : error)
    this.#options.print({ type: 'error', message, missing })
    return missing ? NOT_FOUND : 1
  }

  /** Agents end with their input; one that does not is ended. */
  async #close(): Promise<void> {
    this.#stop.abort()
    this.#child.stdin?.end()
    if (await this.#exitsWithin(STOP_MS)) return
    this.#child.kill('SIGTERM')
    if (!(await this.#exitsWithin(STOP_MS))) this.#child.kill('SIGKILL')
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    const over = new AbortController()
    const late = systemClock.sleep(ms, over.signal).then(
      () => false,
      () => true,
    )
    const exited = await Promise.race([this.#exited.then(() => true), late])
    over.abort()
    return exited
  }
}
