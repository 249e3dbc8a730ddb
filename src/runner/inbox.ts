import type { OutBody } from '../contract/link.ts'
import type { Clock } from '../kernel/clock.ts'
import { errorTable, RegentError, reasonOf } from '../kernel/errors.ts'
import type { Ids } from '../kernel/ids.ts'
import type { Logger } from '../kernel/logger.ts'
import { spoken } from './conversation.ts'
import type { Journal, NewEntry } from './journal.ts'
import type { Held, Incoming, JournalState } from './journal-state.ts'
import { Work } from './work.ts'

export interface InboxOptions {
  /** The agent's name: author of what is said about a message. */
  readonly name: string
  readonly journal: Journal
  readonly ids: Ids
  readonly clock: Clock
  readonly logger: Logger
  readonly redact: (text: string) => string
  readonly answer: (work: Work) => Promise<{ readonly text: string; readonly notice: string | null }>
  /** Called when work on a message begins, fails for a while (`again` with the reason) and ends. */
  readonly onWork: (what: WorkNews) => void
  /** Called before a message leaves the inbox, however its work ended. */
  readonly closeApprovals: (messageId: string) => Promise<void>
}

export type WorkNews =
  | { readonly what: 'begun' | 'ended'; readonly id: string }
  | { readonly what: 'again'; readonly id: string; readonly reason: string; readonly limited: boolean; readonly waitMs: number }

const TRIES = 5
/** Messages held at once, and their characters; what comes after them waits with the sender. */
const MOST_MESSAGES = 1000
const MOST_CHARS = 8_000_000
/** Entries that may wait for the disk while work goes on. */
const MOST_UNWRITTEN = 500
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 300_000

/** The messages that the agent took in: worked on one at a time, in the order of their arrival, each at most five times. */
export class Inbox {
  readonly #options: InboxOptions
  #arrived: (() => void) | null = null
  #roomMade: (() => void) | null = null
  #turn: Promise<void> = Promise.resolve()
  readonly #waiters = new Map<string, Set<() => void>>()
  /** Taken in by an earlier run. */
  readonly #inherited: Set<string>

  constructor(options: InboxOptions) {
    this.#options = options
    this.#inherited = new Set(options.journal.state.inbox.keys())
  }

  /** Resolves, in the order of the calls, when the inbox is not full. */
  room(): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      while (isFull(this.#options.journal.state)) {
        await new Promise<void>((done) => {
          this.#roomMade = done
        })
      }
    })
    return this.#turn
  }

  /** Resolves when it stands in the journal; a message that was taken in before is not taken again. */
  async take(message: Incoming, ...with_: NewEntry[]): Promise<void> {
    const { journal, logger } = this.#options
    if (journal.state.knows(message.id)) return await journal.append()
    const stored = journal.append({ e: 'in', message }, ...with_)
    logger.debug({ message: message.id, sender: message.sender, conversation: message.conversation }, 'message taken in')
    // Work may begin: nothing of it is told before it stands on disk, and that is behind the message.
    this.#arrived?.()
    await stored
  }

  /** Resolves when the work on a message has ended, at once where it is not in the inbox. */
  ended(id: string): Promise<void> {
    if (!this.#options.journal.state.inbox.has(id)) return Promise.resolve()
    return new Promise((done) => {
      this.#waiters.set(id, (this.#waiters.get(id) ?? new Set()).add(done))
    })
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const { journal } = this.#options
      const [held] = journal.state.inbox.values()
      if (journal.backlog > MOST_UNWRITTEN) await journal.append()
      if (held) await this.#workOn(held, signal)
      else await this.#arrival(signal)
    }
  }

  #arrival(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#arrived = null
        signal.removeEventListener('abort', done)
        resolve()
      }
      this.#arrived = done
      signal.addEventListener('abort', done, { once: true })
    })
  }

  async #workOn(held: Held, signal: AbortSignal): Promise<void> {
    const { journal, onWork, answer, ids, logger } = this.#options
    const { id } = held.message
    if (held.tries >= TRIES) return await this.#fail(held, `the agent ended ${TRIES} times while it worked on this message`)
    const tries = held.tries + 1
    await this.#begin(held, tries)
    onWork({ what: 'begun', id })
    try {
      const work = new Work(held, journal, ids, signal)
      const { text, notice } = await answer(work)
      await this.#finish(work, text, notice)
    } catch (error) {
      if (signal.aborted) return await journal.append({ e: 'try', id, tries: tries - 1 })
      logger.warn({ message: id, try: tries, reason: reasonOf(error) }, 'work on a message failed')
      if (!passes(error) || tries >= TRIES) await this.#fail(held, describe(error))
      else await this.#pause(id, error, tries, signal)
    }
  }

  /**
   * Writes the try down. What was in the inbox when the program started may be what ended the last one: only then, and for more than
   * one try, is the disk waited for, so that the count is right when it happens again.
   */
  async #begin({ message: { id } }: Held, tries: number): Promise<void> {
    const { journal } = this.#options
    if (tries > 1) journal.write({ e: 'try', id, tries }, { e: 'say', body: { kind: 'tried', message_id: id, tries } })
    else journal.write({ e: 'try', id, tries })
    if (tries > 1 || this.#inherited.delete(id)) await journal.append()
  }

  async #finish(work: Work, text: string, notice: string | null): Promise<void> {
    const { name, journal, closeApprovals } = this.#options
    const { id, conversation, content } = work.message
    await closeApprovals(id)
    const metadata = { title: 'ASSISTANT', name, highlight_tool: null, ...(notice !== null && { notice }) }
    const whole = notice === null ? text : `${text}\n\n${notice}`
    journal.write(
      { e: 'say', body: work.row('assistant', name, whole, metadata, true) },
      { e: 'say', body: { kind: 'done', message_id: id } },
      { e: 'turns', conversation, turns: spoken(content, text) },
      { e: 'end', id },
    )
    this.#ended(id)
  }

  async #fail(held: Held, plain: string): Promise<void> {
    const { name, journal, ids, closeApprovals, redact } = this.#options
    const { id, conversation, content } = held.message
    const reason = redact(plain)
    await closeApprovals(id)
    const text = `No answer: ${reason}`
    const say: OutBody = {
      kind: 'say',
      id: ids.next(),
      type: 'notice',
      content: text,
      metadata: { name },
      author: name,
      reply_to: id,
      final: true,
    }
    await journal.append(
      { e: 'say', body: say },
      { e: 'say', body: { kind: 'failed', message_id: id, reason } },
      { e: 'turns', conversation, turns: spoken(content, `(${text})`) },
      { e: 'end', id },
    )
    this.#ended(id)
  }

  #ended(id: string): void {
    this.#options.logger.debug({ message: id }, 'work on a message has ended')
    this.#options.onWork({ what: 'ended', id })
    const waiting = this.#waiters.get(id)
    this.#waiters.delete(id)
    if (waiting)
      void this.#options.journal.append().then(() => {
        for (const done of waiting) done()
      })
    this.#roomMade?.()
  }

  /** Doubling waits with jitter, or as long as the provider asks for. */
  async #pause(id: string, error: unknown, tries: number, signal: AbortSignal): Promise<void> {
    const asked = error instanceof RegentError && error.retryAfter !== undefined ? error.retryAfter * 1_000 : 0
    const own = FIRST_WAIT_MS * 2 ** (tries - 1) * (0.5 + Math.random() / 2)
    const waitMs = Math.min(LONGEST_WAIT_MS, Math.max(asked, own))
    const limited = error instanceof RegentError && (error.code === 'TOO_MANY' || error.details.status === 429)
    this.#options.onWork({ what: 'again', id, reason: describe(error), limited, waitMs })
    await this.#options.clock.sleep(waitMs, signal).catch(() => undefined)
  }
}

function isFull({ inbox, inboxChars }: JournalState): boolean {
  return inbox.size >= MOST_MESSAGES || inboxChars >= MOST_CHARS
}

/** Statuses of a provider's refusal that may pass; the other 4xx (a wrong key, an unknown model) stay. */
const passing: readonly unknown[] = [408, 409, 425, 429]

/** Whether the same work may succeed later. */
function passes(error: unknown): boolean {
  if (!(error instanceof RegentError) || !errorTable[error.code].retry) return false
  const { status } = error.details
  return typeof status !== 'number' || status < 400 || status >= 500 || passing.includes(status)
}

function describe(error: unknown): string {
  const hint = error instanceof RegentError && error.hint !== undefined ? `; ${error.hint}` : ''
  return `${reasonOf(error)}${hint}`
}
