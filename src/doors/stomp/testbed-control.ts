import { createHash } from 'node:crypto'
import type { AgentView } from '../../contract/agents.ts'
import type { Output } from '../../contract/operations.ts'
import { programName } from '../../contract/program.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Core } from '../../core/core.ts'
import type { Desk } from '../../core/desk.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import { type Bus, type Incoming, type Subscription, UNNAMED } from '../../ports/bus.ts'
import { statusLine } from '../shared/supervisorctl-lines.ts'
import { type CommandName, type ControlMessage, readControlMessage } from './control-command.ts'

const PAGE = 500
/** An answer that the broker does not take is tried again so often, and so long after. */
const REPLY_TRIES = 5
const REPLY_PAUSE_MS = 1000
/** What acknowledges the command leaves before Regent does. */
const RESTART_AFTER_MS = 100

export interface TestbedControlOptions {
  readonly core: Pick<Core, 'call' | 'identity'> & { readonly desk: Pick<Desk, 'once'> }
  /** The STOMP broker. */
  readonly bus: Bus
  /** Ends Regent in order and becomes a new one. */
  readonly restart: () => void
  readonly clock: Clock
  readonly logger: Logger
}

export interface TestbedControl {
  /** Resolves when what was taken in is answered. */
  close(): Promise<void>
}

/** Both names that its senders know: the documented one, and the one that programs used. */
export const controlQueues = (user: string): readonly string[] => [`/queue/testbed.${user}.control`, `/queue/agent_control.${user}`]

/**
 * Answers the control queue of the user who runs Regent. The broker need not be there. Of several Regents of one user one acts. What cannot
 * be read is answered where it tells where to, and put aside with the reason where it does not.
 */
export function openTestbedControl(options: TestbedControlOptions): TestbedControl {
  return new Door(options)
}

class Door implements TestbedControl {
  readonly #o: TestbedControlOptions
  readonly #caller: Caller
  readonly #queues: readonly string[]
  readonly #stop = new AbortController()
  readonly #subscriptions: readonly Promise<Subscription | undefined>[]

  constructor(options: TestbedControlOptions) {
    this.#o = options
    this.#caller = options.core.identity.localAdmin('stomp')
    this.#queues = controlQueues(this.#caller.user)
    this.#subscriptions = this.#queues.map((queue) => this.#subscribe(queue))
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the door closes'))
    await Promise.all(this.#subscriptions.map(async (made) => (await made)?.close()))
  }

  /** Not waited for: the broker may be away, or another Regent may have the queue. */
  async #subscribe(queue: string): Promise<Subscription | undefined> {
    const { bus, logger } = this.#o
    try {
      return await bus.subscribe({ name: queue }, (message, signal) => this.#take(message, signal), {
        exclusive: true,
        maxAttempts: 1,
        signal: this.#stop.signal,
      })
    } catch (error) {
      if (!this.#stop.signal.aborted) logger.error({ queue, error: reasonOf(error) }, 'a control queue cannot be read')
      return undefined
    }
  }

  /** Throws what has the message put aside. */
  async #take(message: Incoming, signal: AbortSignal): Promise<void> {
    const asked = readControlMessage(message.body, this.#queues)
    const { logger } = this.#o
    if (asked.command === undefined) return this.#refuse(message, asked, asked.problem, signal)
    logger.info({ command: asked.command, id: message.id, reply_to: asked.replyTo }, 'a command on the control queue')
    if (asked.command === 'restart') return this.#restart(message, asked, signal)
    let answer: JsonObject
    try {
      answer = await this.#answer(asked.command)
    } catch (error) {
      return this.#refuse(message, asked, error, signal)
    }
    return this.#reply(message, asked, answer, signal)
  }

  async #answer(command: Exclude<CommandName, 'restart'>): Promise<JsonObject> {
    const { user } = this.#caller
    switch (command) {
      case 'ping':
        return { status: 'alive', username: user, timestamp: this.#now() }
      case 'status':
        return { username: user, ...(await this.#agents()), timestamp: this.#now() }
      case 'start_testbed':
      case 'stop_testbed':
        throw new RegentError('NOT_YET', `${command}: testbeds are not there yet in this version of Regent`)
    }
  }

  async #agents(): Promise<JsonObject> {
    const agents: AgentView[] = []
    let cursor: string | undefined
    do {
      const input = { owner: this.#caller.user, limit: PAGE, ...(cursor !== undefined && { cursor }) }
      const context = { caller: this.#caller, signal: this.#stop.signal }
      const page = (await this.#o.core.call('agents.list', input, context)) as Output<'agents.list'>
      agents.push(...page.agents)
      cursor = page.next_cursor ?? undefined
    } while (cursor !== undefined)
    const lines = agents.map((agent) => statusLine(programName(agent), agent)).sort()
    return {
      agents_running: agents.some(({ state }) => state === 'RUNNING'),
      supervisord_status: lines.map((line) => `${line}\n`).join(''),
    }
  }

  /** Once for each message, over restarts; the answer is given each time. */
  async #restart(message: Incoming, asked: ControlMessage, signal: AbortSignal): Promise<void> {
    const { core, clock, restart, logger } = this.#o
    let fresh = false
    if (!message.id.startsWith(UNNAMED)) {
      const command = { who: 'testbed-control', key: keyOf(message.id), input: { command: 'restart' } }
      await core.desk.once(command, async () => {
        fresh = true
        return { answer: {} }
      })
      // Delivered before, it was followed by a restart: this process is the later one.
    } else fresh = message.attempt === 1
    const answer = { command: 'restart', success: true, timestamp: this.#now() }
    await this.#reply(message, asked, answer, signal).catch((error: unknown) =>
      logger.warn({ id: message.id, error: reasonOf(error) }, 'the answer to a restart could not be sent'),
    )
    if (fresh) clock.after(RESTART_AFTER_MS, restart)
  }

  async #refuse(message: Incoming, asked: ControlMessage, error: unknown, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw error
    const words = wordsOf(error)
    this.#o.logger.warn({ command: asked.named, id: message.id, reason: words }, 'a command on the control queue was refused')
    if (asked.replyTo === undefined) throw error instanceof RegentError ? new RegentError(error.code, words) : error
    await this.#reply(message, asked, { command: asked.named, success: false, error: words, timestamp: this.#now() }, signal)
  }

  /** Rejects when the broker does not take it. */
  async #reply(message: Incoming, { replyTo }: ControlMessage, answer: JsonObject, signal: AbortSignal): Promise<void> {
    if (replyTo === undefined) return
    const { bus, clock } = this.#o
    const { correlationId } = message
    const reply = {
      id: `reply-${keyOf(message.id)}`,
      body: JSON.stringify(answer),
      contentType: 'application/json',
      ...(correlationId !== undefined && { correlationId }),
    }
    for (let tries = 1; ; tries++) {
      try {
        return await bus.publish({ name: replyTo }, reply)
      } catch (error) {
        const passes = error instanceof RegentError && error.code === 'UNAVAILABLE' && tries < REPLY_TRIES
        if (!passes || signal.aborted) throw error
        await clock.sleep(REPLY_PAUSE_MS, signal)
      }
    }
  }

  /** As Python's `fromisoformat` of every version reads it. */
  #now(): string {
    return new Date(this.#o.clock.now()).toISOString().replace('Z', '+00:00')
  }
}

const MOST_KEY = 100
const keyOf = (id: string): string => (id.length > MOST_KEY ? createHash('sha256').update(id).digest('hex') : id)

function wordsOf(error: unknown): string {
  if (!(error instanceof RegentError)) return 'Regent failed; its log has more'
  return `${error.message}${error.hint ? `. ${error.hint}` : ''}`
}
