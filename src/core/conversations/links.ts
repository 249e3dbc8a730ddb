import { RegentError } from '../../kernel/errors.ts'
import type { Links as LinkDoor, LinkPeer, LinkSession } from '../core.ts'
import type { Heartbeat } from './heartbeat.ts'
import type { AnswerOutcome, LinkOptions } from './link-options.ts'
import { RunnerSession } from './runner-session.ts'

/** The runners that are connected, at most one per agent: a new connection of the present run takes the place of an old one. */
export class Links implements LinkDoor {
  readonly #options: LinkOptions
  readonly #sessions = new Map<string, RunnerSession>()

  constructor(options: LinkOptions) {
    this.#options = options
  }

  async admit(token: string): Promise<{ agentId: string; runId: string } | undefined> {
    const runId = this.#options.runTokens.runOf(token)
    const run = runId === undefined ? undefined : await this.#options.store.read.runs.get(runId)
    return run && { agentId: run.agentId, runId: run.id }
  }

  attach(peer: LinkPeer): LinkSession {
    const session = new RunnerSession(this.#options, peer, {
      ready: () => {
        this.#sessions.get(peer.agentId)?.replace()
        this.#sessions.set(peer.agentId, session)
      },
      gone: () => {
        if (this.#sessions.get(peer.agentId) === session) {
          this.#sessions.delete(peer.agentId)
          this.#options.presence.clear(peer.agentId)
        }
      },
    })
    return session
  }

  /** Tells a connected runner that there may be something in its inbox. */
  deliver(agentId: string): void {
    void this.#sessions.get(agentId)?.deliver()
  }

  /** Tells a connected runner whether it holds its channel. */
  tellChannel(agentId: string): void {
    this.#sessions.get(agentId)?.tellChannel()
  }

  /** Brings an answer to the runner, the one arbiter. Throws UNAVAILABLE when it is not connected. */
  async answer(agentId: string, approvalId: string, confirmed: boolean, by: string, via: string): Promise<AnswerOutcome> {
    const session = this.#sessions.get(agentId)
    if (!session) {
      throw new RegentError('UNAVAILABLE', 'the agent is not connected just now, so the answer cannot reach it', {
        hint: 'answer again in a moment; see whether it runs with show',
        retryAfter: 1,
      })
    }
    return session.answer(approvalId, confirmed, by, via)
  }

  /** Asks the runner of this run for a sign of life. */
  async heartbeat(agentId: string, runId: string, signal: AbortSignal): Promise<Heartbeat> {
    const session = this.#sessions.get(agentId)
    return session?.runId === runId ? session.heartbeat(signal) : 'absent'
  }

  closeAll(reason: string): void {
    for (const session of [...this.#sessions.values()]) session.end(reason)
  }
}
