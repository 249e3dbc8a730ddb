import type { Clock } from '../kernel/clock.ts'
import type { Logger } from '../kernel/logger.ts'
import type { Journal, NewEntry } from './journal.ts'
import type { ClosedApproval, PendingApproval } from './journal-state.ts'

export interface AnswerOutcome {
  readonly outcome: 'accepted' | 'late' | 'unknown'
  /** What holds; null where nothing is known of this approval. */
  readonly confirmed: boolean | null
  readonly by: string | null
}

export interface ApprovalsOptions {
  readonly journal: Journal
  readonly clock: Clock
  readonly logger: Logger
  /** Called when one was asked for or closed. */
  readonly onChange: () => void
}

/** The one arbiter of the tool calls that wait for a yes or a no: the first answer wins, and only their time brings the default. */
export class Approvals {
  readonly #options: ApprovalsOptions
  readonly #waiting = new Map<string, (closed: ClosedApproval) => void>()
  readonly #timers = new Map<string, () => void>()

  constructor(options: ApprovalsOptions) {
    this.#options = options
  }

  get pending(): readonly PendingApproval[] {
    return [...this.#options.journal.state.pending.values()]
  }

  /** After a restart: what was pending is announced again under its id, and its time goes on. */
  resume(): void {
    const { journal } = this.#options
    const pending = this.pending
    for (const approval of pending) this.#startTimer(approval)
    if (pending.length > 0)
      journal.note(...pending.map((approval): NewEntry => ({ e: 'say', body: { kind: 'approval_requested', approval } })))
    void journal.append()
  }

  /** Announces it, together with `entries`, and starts its time. */
  async request(approval: PendingApproval, ...entries: NewEntry[]): Promise<void> {
    await this.#options.journal.append(...entries, { e: 'say', body: { kind: 'approval_requested', approval } })
    this.#startTimer(approval)
    this.#options.onChange()
  }

  /** Resolves with the answer, or with the default once its time is over; rejects with the signal's reason. */
  decision(id: string, signal: AbortSignal): Promise<ClosedApproval> {
    const { closed, pending } = this.#options.journal.state
    const known = closed.get(id)
    if (known || !pending.has(id)) return Promise.resolve(known ?? { confirmed: false, by: 'unknown' })
    return new Promise((resolve, reject) => {
      const aborted = (): void => {
        this.#waiting.delete(id)
        reject(signal.reason)
      }
      if (signal.aborted) return aborted()
      signal.addEventListener('abort', aborted, { once: true })
      this.#waiting.set(id, (answer) => {
        signal.removeEventListener('abort', aborted)
        resolve(answer)
      })
    })
  }

  /** Resolves when an accepted answer is on disk. */
  async answer(id: string, confirmed: boolean, by: string, via: string): Promise<AnswerOutcome> {
    const { journal, logger } = this.#options
    const approval = journal.state.pending.get(id)
    if (approval === undefined) {
      const closed = journal.state.closed.get(id)
      return closed ? { outcome: 'late', ...closed } : { outcome: 'unknown', confirmed: null, by: null }
    }
    this.#timers.get(id)?.()
    this.#timers.delete(id)
    await journal.append({ e: 'say', body: { kind: 'approval_closed', id, confirmed, by, via } })
    logger.info({ approval: id, tool: approval.tool, confirmed, by, via }, confirmed ? 'tool call confirmed' : 'tool call rejected')
    this.#waiting.get(id)?.({ confirmed, by })
    this.#waiting.delete(id)
    this.#options.onChange()
    return { outcome: 'accepted', confirmed, by }
  }

  /** Rejects what is still pending for a message whose work has ended. */
  async closeFor(messageId: string): Promise<void> {
    for (const { id, message_id } of this.pending) if (message_id === messageId) await this.answer(id, false, 'agent', 'runner')
  }

  close(): void {
    for (const cancel of this.#timers.values()) cancel()
    this.#timers.clear()
  }

  /** What is left of its time, by the wall clock over a restart, but never more than it was given. */
  #startTimer(approval: PendingApproval): void {
    const { clock } = this.#options
    const left = Math.min(approval.expires_at - clock.now(), approval.expires_at - approval.requested_at)
    const expire = (): void => void this.answer(approval.id, approval.default === 'confirm', 'timeout', 'runner')
    this.#timers.set(approval.id, clock.after(Math.max(0, left), expire))
  }
}
