import type { ChannelPlace } from '../contract/channels.ts'
import { confirmationRequest, envelopeOf } from '../contract/envelopes.ts'
import { heardIds, type OutRow } from '../contract/link.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import { type Bus, MOST_BODY, type Outgoing, type Topic } from '../ports/bus.ts'
import { shorten } from './bounds.ts'
import type { ChannelOptions } from './channel-options.ts'

/** Rows that are on their way at once while all is well; it is the broker's client that keeps them in order. */
const AT_ONCE = 32
const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 30_000
/** How long a stop lets it say what is on disk. */
const LAST_WORDS_MS = 250

/**
 * Says on the agent's channel what its journal holds, in order, each row at least once and under the same id each time. Where one
 * fails, those on their way behind it may have arrived: from it on they are said again, one after the other until no row is in doubt.
 * What the broker has confirmed is noted in the journal; a broker that is away is tried for ever.
 */
export class Voice {
  readonly #bus: Bus
  readonly #options: ChannelOptions
  readonly #closing = new AbortController()
  #speaking: Promise<void> | null = null
  #more = false
  #failures = 0
  /** So many of the next rows may have arrived already. */
  #inDoubt = 0
  #cancelRetry: (() => void) | null = null
  #told = 0

  constructor(bus: Bus, options: ChannelOptions) {
    this.#bus = bus
    this.#options = options
  }

  /** There may be something to say. */
  wake(): void {
    if (this.#closing.signal.aborted) return
    this.#more = true
    this.#tellDropped()
    if (this.#cancelRetry !== null) return
    this.#speaking ??= this.#speak().finally(() => {
      this.#speaking = null
    })
  }

  /** The broker is there again. */
  retry(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = null
    this.wake()
  }

  async close(): Promise<void> {
    this.#cancelRetry?.()
    const cancel = this.#options.clock.after(LAST_WORDS_MS, () => this.#closing.abort())
    if (this.#bus.status().connected) await this.#speaking
    cancel()
    this.#closing.abort()
    await this.#speaking
  }

  async #speak(): Promise<void> {
    const { journal, conditions, place } = this.#options
    while (this.#more && !this.#closing.signal.aborted) {
      this.#more = false
      const rows = journal.state.unspoken.next(journal.durableSeq, this.#inDoubt > 0 ? 1 : AT_ONCE)
      if (rows.length === 0) continue
      const problem = await this.#sayAll(rows)
      if (problem !== undefined) return this.#later(problem)
      if (this.#failures > 0) conditions.clear('channel', `${place.stem} out`)
      this.#failures = 0
      this.#more = true
    }
  }

  /** Resolves with what went wrong, once the rows before that are noted. */
  async #sayAll(rows: readonly OutRow[]): Promise<unknown> {
    const outcomes = await Promise.allSettled(rows.map((row) => this.#say(row)))
    const failed = outcomes.findIndex(({ status }) => status === 'rejected')
    const last = failed === -1 ? rows.at(-1) : rows[failed - 1]
    if (last) this.#options.journal.note({ e: 'spoken', seq: last.seq })
    this.#inDoubt = failed === -1 ? Math.max(0, this.#inDoubt - rows.length) : Math.max(this.#inDoubt, rows.length - failed)
    const outcome = outcomes[failed]
    return outcome?.status === 'rejected' ? (outcome.reason ?? new Error('no reason')) : undefined
  }

  async #say(row: OutRow): Promise<void> {
    const { inbound, outbound } = this.#options.place
    const message = messageOf(row, this.#options)
    if (message === undefined) return
    const topics: readonly Topic[] = row.body.kind === 'approval_requested' ? [...inbound, ...outbound] : outbound
    await Promise.all(topics.map((topic) => this.#bus.publish(topic, message, this.#closing.signal)))
  }

  /** Growing pauses, with jitter; a broker that comes back is spoken to at once. */
  #later(problem: unknown): void {
    if (this.#closing.signal.aborted) return
    const { clock, conditions, logger, place } = this.#options
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2)
    this.#failures = Math.min(this.#failures + 1, 10)
    logger.debug({ channel: place.outboundId, reason: reasonOf(problem) }, 'not said on the channel yet')
    const refused = problem instanceof RegentError && problem.code !== 'UNAVAILABLE'
    if (refused)
      conditions.raise('channel', `${place.stem} out`, `the agent cannot speak there: ${reasonOf(problem)}; tried again and again`)
    this.#cancelRetry = clock.after(wait, () => {
      this.#cancelRetry = null
      this.wake()
    })
  }

  #tellDropped(): void {
    const { journal, conditions, place } = this.#options
    const { dropped } = journal.state.unspoken
    if (dropped === this.#told) return
    this.#told = dropped
    const words = `${dropped} messages for the channel were dropped, tool notices first: the broker is away for too long. Regent's history has them`
    conditions.raise('channel', `${place.stem} dropped`, words)
  }
}

function messageOf(row: OutRow, { place, agentId }: ChannelOptions): Outgoing | undefined {
  const { body } = row
  const common = { contentType: 'application/json', key: agentId }
  if (body.kind === 'approval_requested')
    return { ...common, id: body.approval.id, body: JSON.stringify(confirmationRequest(body.approval)) }
  if (body.kind !== 'say') return undefined
  const envelope = envelopeOf(body, place.outboundId)
  const correlationId = body.reply_to === null ? undefined : busIdOf(body.reply_to, place, agentId)
  return envelope && { ...common, id: body.id, body: fitting(envelope), ...(correlationId !== undefined && { correlationId }) }
}

/** The id that a message had at the broker; the message's own where it came another way. */
function busIdOf(id: string, { inbound }: ChannelPlace, agentId: string): string {
  const prefixes = inbound.map(({ name }) => `${heardIds(agentId)}${name}:`)
  const found = prefixes.find((prefix) => id.startsWith(prefix))
  return found === undefined ? id : id.slice(found.length)
}

/** As JSON, with its content shortened where no bus would take it. */
function fitting(envelope: Readonly<Record<string, unknown>>): string {
  const whole = JSON.stringify(envelope)
  if (Buffer.byteLength(whole) <= MOST_BODY) return whole
  const content = typeof envelope.content === 'string' ? envelope.content : JSON.stringify(envelope.content)
  for (let chars = 400_000; ; chars = Math.floor(chars / 2)) {
    const shorter = JSON.stringify({ ...envelope, content: shorten(content, chars) })
    if (Buffer.byteLength(shorter) <= MOST_BODY || chars < 1_000) return shorter
  }
}
