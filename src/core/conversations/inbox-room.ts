import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, Tables } from '../../ports/store.ts'

/** The most messages that may wait for one agent. */
const MOST_WAITING = 100_000
/** How long a full inbox counts as full without being counted again, in ms. */
const FULL_MS = 1000
const AGENTS_KEPT = 10_000

interface Known {
  /** Messages that may be taken until what waits is counted again. */
  left: number
  /** When it was found full; epoch ms. */
  fullAt: number
}

/**
 * Keeps inboxes within their bound. What waits is counted seldom, since that takes as long as much waits: after a count, half of the
 * room that was found is given away without another. Forgetting costs a count, no more.
 */
export class InboxRoom {
  readonly #known = new Map<string, Known>()

  /** Throws TOO_MANY where the inbox has no room for so many more. */
  async take(tables: Tables, agent: AgentRow, more: number, now: number): Promise<void> {
    const known = this.#known.get(agent.id)
    if (known && known.left >= more) {
      known.left -= more
      return
    }
    const full = known !== undefined && known.left === 0 && now - known.fullAt < FULL_MS && now >= known.fullAt
    const room = full ? 0 : MOST_WAITING - ((await tables.messages.countWaiting([agent.id])).get(agent.id) ?? 0)
    if (room < more) {
      if (!full) this.#keep(agent.id, { left: 0, fullAt: room <= 0 ? now : Number.NEGATIVE_INFINITY })
      throw new RegentError('TOO_MANY', `${MOST_WAITING} messages wait for ${agent.owner}/${agent.name} at most`, {
        hint: 'start it, or send less',
        retryAfter: 30,
      })
    }
    this.#keep(agent.id, { left: Math.floor((room - more) / 2), fullAt: Number.NEGATIVE_INFINITY })
  }

  #keep(agentId: string, known: Known): void {
    this.#known.delete(agentId)
    this.#known.set(agentId, known)
    const [oldest] = this.#known.keys()
    if (this.#known.size > AGENTS_KEPT && oldest !== undefined) this.#known.delete(oldest)
  }
}
