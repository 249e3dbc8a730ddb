import { createHash } from 'node:crypto'
import { Turns } from '../../core/agents/turns.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus, Incoming } from '../../ports/bus.ts'
import type { AgentRow } from '../../ports/store.ts'
import type { DoorCore } from './commands.ts'
import { fits, replyTopic } from './places.ts'
import { type Asked, glimpse } from './read-message.ts'

export interface ClerkOptions {
  readonly core: DoorCore
  readonly bus: Bus
  readonly clock: Clock
  readonly logger: Logger
}

/** What is done for a message that was read; answers the agent's status. */
type Work = (asked: Asked, signal: AbortSignal) => Promise<string>

/** Transient trouble: how long a message is held for it before it is put aside, and the pauses meanwhile. */
const PATIENCE_MS = 600_000
const FIRST_PAUSE_MS = 200
const LONGEST_PAUSE_MS = 10_000
/** How often what should not happen is tried. */
const MOST_SURPRISES = 5
const LONGEST_ERROR = 2000

/**
 * Takes messages in: those of one agent one after the other, in the order they come. Each is done or refused; a refusal is answered where
 * an answer was asked for, and thrown, so that the bus puts the message aside with its reason.
 */
export class Clerk {
  readonly #o: ClerkOptions
  readonly #turns = new Turns()

  constructor(options: ClerkOptions) {
    this.#o = options
  }

  /** `read` answers undefined for what is not for this door. */
  async take(message: Incoming, signal: AbortSignal, read: (message: Incoming) => Asked | undefined, work: Work): Promise<void> {
    let asked: Asked | undefined
    try {
      asked = read(message)
    } catch (error) {
      throw await this.#refuse(message, undefined, error)
    }
    const found = asked
    if (found) await this.#turns.take(found.agentId ?? found.key, () => this.#do(message, found, signal, work))
  }

  async #do(message: Incoming, asked: Asked, signal: AbortSignal, work: Work): Promise<void> {
    let status: string
    try {
      signal.throwIfAborted()
      status = await this.#patiently(() => work(asked, signal), asked, signal)
    } catch (error) {
      if (signal.aborted) throw error
      throw await this.#refuse(message, asked, error)
    }
    await this.#reply(message, { success: true, status })
  }

  /** The message stays unacknowledged meanwhile, and what comes after it for the same agent waits. */
  async #patiently(work: () => Promise<string>, { type, agentId }: Asked, signal: AbortSignal): Promise<string> {
    const { clock, logger } = this.#o
    const begun = clock.elapsed()
    for (let tries = 1, pause = FIRST_PAUSE_MS; ; tries++, pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        return await work()
      } catch (error) {
        const passes = isPassing(error) ? clock.elapsed() - begun < PATIENCE_MS : isSurprise(error) && tries < MOST_SURPRISES
        if (!passes || signal.aborted) throw error
        logger.warn({ command: type, agent: agentId, error: reasonOf(error) }, `a command waits; tried again in ${pause} ms`)
        await clock.sleep(pause, signal)
      }
    }
  }

  /** Answers, tells and gives back what the bus is to hear. */
  async #refuse(message: Incoming, asked: Asked | undefined, error: unknown): Promise<unknown> {
    const { logger } = this.#o
    const words = wordsOf(error)
    const { type, agentId } = asked ?? glimpse(message)
    logger.warn({ command: type, agent: agentId, id: message.id, reason: words }, 'a message on the bus was refused')
    await this.#tell(asked, error, words)
    await this.#reply(message, { success: false, error: words, code: error instanceof RegentError ? error.code : 'INTERNAL' })
    return error instanceof RegentError ? new RegentError(error.code, words) : error
  }

  /** Into the journal goes who reached for what is not his, and which agent could not be made. */
  async #tell(asked: Asked | undefined, error: unknown, reason: string): Promise<void> {
    if (!asked) return
    const forged = error instanceof RegentError && error.code === 'FORBIDDEN'
    const unmade = asked.type === 'agent.create' || asked.type === 'agent.created'
    if (!forged && !unmade) return
    const { core, logger } = this.#o
    const row = error instanceof RegentError ? (error.details.row as AgentRow | undefined) : undefined
    const data = {
      command: asked.type,
      known_as: asked.agentId ?? null,
      claimed: asked.customerId ?? null,
      reason,
      forged,
      origin: { command: asked.type, correlation_id: asked.correlationId, via: 'rabbitmq' },
    }
    const whose = row
      ? { agentId: row.id, agent: `${row.owner}/${row.name}`, owner: row.owner }
      : { agentId: null, agent: null, owner: asked.customerId ?? null }
    await core.desk
      .refused({ ...whose, actor: asked.customerId ?? 'rabbitmq', data })
      .catch((failure: unknown) => logger.error({ error: reasonOf(failure) }, 'a refusal was not written into the journal'))
  }

  /** An answer that nobody takes is no reason to do the work again. */
  async #reply(message: Incoming, answer: object): Promise<void> {
    const { replyTo } = message
    if (replyTo === undefined || replyTo === '') return
    const { bus, clock, logger } = this.#o
    const { type, agentId, correlationId } = glimpse(message)
    const body = {
      message_type: type,
      agent_id: agentId,
      ...answer,
      timestamp: new Date(clock.now()).toISOString(),
      correlation_id: correlationId,
    }
    const reply = {
      id: `reply-${createHash('sha256').update(message.id).digest('hex').slice(0, 32)}`,
      body: JSON.stringify(body),
      contentType: 'application/json',
      ...(fits(correlationId) && { correlationId }),
    }
    await bus
      .publish(replyTopic(replyTo), reply)
      .catch((error: unknown) => logger.warn({ queue: replyTo, error: reasonOf(error) }, 'an answer could not be sent'))
  }
}

const isPassing = (error: unknown): boolean => error instanceof RegentError && (error.code === 'UNAVAILABLE' || error.code === 'NO_SPACE')
const isSurprise = (error: unknown): boolean => !(error instanceof RegentError) || error.code === 'INTERNAL'

function wordsOf(error: unknown): string {
  if (!(error instanceof RegentError)) return 'Regent failed; its log has more'
  return `${error.message}${error.hint ? `. ${error.hint}` : ''}`.slice(0, LONGEST_ERROR)
}
