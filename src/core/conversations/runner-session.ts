import type { Condition } from '../../contract/agents.ts'
import { type FromRunner, heardIds, LINK_VERSION, type SentMessage } from '../../contract/link.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow } from '../../ports/store.ts'
import type { LinkPeer, LinkSession } from '../core.ts'
import { tell } from '../supervision/situation.ts'
import { Beats, type Heartbeat } from './heartbeat.ts'
import type { AnswerOutcome, LinkOptions } from './link-options.ts'
import { type Done, takeRows } from './take-rows.ts'

/** Messages sent and not yet in the runner's journal. */
const WINDOW = 1000
/** And their characters, one message aside: well below what the link's door lets wait for a runner. */
const WINDOW_CHARS = 1_000_000
const ANSWER_MS = 10_000

type Hello = Extract<FromRunner, { type: 'hello' }>

/** One runner's connection: hands it its inbox in order, takes in what it did, each row exactly once. */
export class RunnerSession implements LinkSession {
  readonly #options: LinkOptions
  readonly #peer: LinkPeer
  readonly #places: { ready(): void; gone(): void }
  #agent: AgentRow | undefined
  /** Number of the newest message that was sent on this connection. */
  #sent = 0
  /** Whether the runner takes several messages in one frame. */
  #lists = false
  /** Characters of what was sent and not accepted, by message. */
  readonly #open = new Map<string, number>()
  #delivering = false
  #more = false
  #over = false
  readonly #beats: Beats
  #taking = 0
  readonly #answers = new Map<string, { done(outcome: AnswerOutcome): void; lost(): void }>()

  constructor(options: LinkOptions, peer: LinkPeer, places: { ready(): void; gone(): void }) {
    this.#options = options
    this.#peer = peer
    this.#places = places
    this.#beats = new Beats(() => peer.ping())
  }

  async receive(frame: FromRunner): Promise<void> {
    if (this.#over) return
    this.#taking++
    try {
      await this.#take(frame)
    } finally {
      this.#taking--
    }
  }

  async #take(frame: FromRunner): Promise<void> {
    const agent = this.#agent
    if (frame.type === 'hello' && !agent) return this.#hello(frame)
    if (!agent) throw new RegentError('BAD_REQUEST', `the first frame must be hello, not ${frame.type}`)
    switch (frame.type) {
      case 'hello':
        throw new RegentError('BAD_REQUEST', 'a link begins with hello once')
      case 'accepted':
        return this.#took(agent, { rows: [], accepted: [frame.message_id] })
      case 'out': {
        if (frame.rows.length > 0) this.#options.worked(agent.id)
        return this.#took(agent, { rows: frame.rows, accepted: frame.accepted ?? [] })
      }
      case 'activity':
      case 'conditions':
        if (frame.type === 'activity') this.#options.worked(agent.id)
        return this.#says(agent, frame)
      case 'delta':
        this.#options.worked(agent.id)
        this.#options.deltas.publish({
          agentId: agent.id,
          owner: agent.owner,
          agent: `${agent.owner}/${agent.name}`,
          messageId: frame.message_id,
          author: frame.author,
          text: frame.text,
        })
        return
      case 'answered':
        this.#answers.get(frame.nonce)?.done({ outcome: frame.outcome, confirmed: frame.confirmed, by: frame.by })
        return
    }
  }

  get runId(): string {
    return this.#peer.runId
  }

  heard(): void {
    this.#beats.heard()
  }

  /** Whether the runner gives a sign of life before the signal aborts; a frame that Regent is still taking in is one. */
  async heartbeat(signal: AbortSignal): Promise<Heartbeat> {
    return this.#taking > 0 ? 'answered' : this.#beats.ask(signal)
  }

  detach(): void {
    if (this.#over) return
    this.#over = true
    this.#places.gone()
    this.#beats.lost()
    for (const { lost } of [...this.#answers.values()]) lost()
  }

  tellChannel(): void {
    if (!this.#over && this.#lists) this.#peer.send({ type: 'channel', ...this.#options.channelOf(this.#peer.agentId) })
  }

  /** Another connection of the same agent took over. */
  replace(): void {
    this.end('replaced by a newer connection')
  }

  end(reason: string): void {
    this.#peer.close(reason)
    this.detach()
  }

  /** Sends what waits, up to the window; more goes out as the runner accepts. */
  async deliver(): Promise<void> {
    this.#more = true
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (this.#more && !this.#over) {
        this.#more = false
        await this.#sendWaiting()
      }
    } catch (error) {
      this.#options.logger.error({ agent: this.#peer.agentId, error: reasonOf(error) }, 'an inbox could not be read; the link begins anew')
      this.end('the inbox could not be read')
    } finally {
      this.#delivering = false
    }
  }

  answer(approvalId: string, confirmed: boolean, by: string, via: string): Promise<AnswerOutcome> {
    const nonce = this.#options.ids.next()
    return new Promise((resolve, reject) => {
      const over = (act: () => void) => {
        cancel()
        this.#answers.delete(nonce)
        act()
      }
      const fail = (code: 'TIMED_OUT' | 'UNAVAILABLE', why: string) =>
        over(() => reject(new RegentError(code, `${why}; look again before answering anew`, { retryAfter: 1 })))
      const cancel = this.#options.clock.after(ANSWER_MS, () => fail('TIMED_OUT', 'the agent did not take the answer in time'))
      this.#answers.set(nonce, {
        done: (outcome) => over(() => resolve(outcome)),
        lost: () => fail('UNAVAILABLE', 'the link was lost before the agent said that it took the answer'),
      })
      this.#peer.send({ type: 'answer', approval_id: approvalId, nonce, confirmed, by, via })
    })
  }

  async #hello(frame: Hello): Promise<void> {
    const { store } = this.#options
    const { agentId, runId } = this.#peer
    const agent = await store.read.agents.get(agentId)
    const life = agent && (await store.read.lives.get(agentId))
    if (!agent || life?.runId !== runId || frame.version > LINK_VERSION) {
      const why =
        frame.version > LINK_VERSION
          ? `this Regent speaks version ${LINK_VERSION} of the link`
          : 'this run is not the present one of its agent'
      this.#peer.send({ type: 'refused', reason: why })
      return this.end(why)
    }
    this.#agent = agent
    this.#lists = frame.version >= 2
    const cursor = await store.read.cursors.get(`runner:${agentId}`)
    this.#places.ready()
    this.#peer.send({ type: 'welcome', version: LINK_VERSION, cursor })
    this.tellChannel()
    await this.#says(agent, { activity: frame.activity, conditions: frame.conditions })
    await this.deliver()
  }

  async #sendWaiting(): Promise<void> {
    const room = WINDOW - this.#open.size
    let chars = 0
    for (const size of this.#open.values()) chars += size
    if (room <= 0 || chars >= WINDOW_CHARS) return
    const waiting = await this.#options.store.read.messages.waiting(this.#peer.agentId, this.#sent, room)
    const messages: SentMessage[] = []
    let left = waiting.length
    for (const message of waiting) {
      if (message.state === 'delivered' && message.id.startsWith(heardIds(this.#peer.agentId))) {
        this.#sent = message.number
        left--
        continue
      }
      const content = typeof message.content === 'string' ? message.content : JSON.stringify(message.content)
      const size = content.length + JSON.stringify(message.metadata).length
      if (this.#open.size > 0 && chars + size > WINDOW_CHARS) break
      chars += size
      this.#sent = message.number
      this.#open.set(message.id, size)
      const { id, number, conversation, sender, metadata } = message
      messages.push({ id, number, conversation, sender, content, metadata: { ...metadata } })
      left--
    }
    if (!this.#lists) for (const message of messages) this.#peer.send({ type: 'message', ...message })
    else if (messages.length > 0) this.#peer.send({ type: 'messages', messages })
    if (left === 0 && waiting.length === room) this.#more = true
  }

  async #took(agent: AgentRow, done: Done): Promise<void> {
    for (const id of done.accepted) this.#open.delete(id)
    // What comes next goes out while this is written down.
    if (done.accepted.length > 0) void this.deliver()
    const cursor = await takeRows(this.#options, agent, done)
    if (done.rows.length > 0) this.#peer.send({ type: 'confirmed', cursor })
  }

  async #says(agent: AgentRow, said: { activity?: Hello['activity']; conditions?: Condition[] }): Promise<void> {
    const { presence, store, clock } = this.#options
    const before = presence.of(agent.id)
    const now = { activity: said.activity ?? before.activity, conditions: said.conditions ?? before.conditions, linked: true }
    presence.set(agent.id, now)
    const raised = now.conditions.filter((one) => !before.conditions.some((other) => same(one, other)))
    const cleared = before.conditions.filter((one) => !now.conditions.some((other) => same(one, other)))
    if (now.activity === before.activity && raised.length + cleared.length === 0) return
    await store.transaction(async (tables) => {
      const at = clock.now()
      if (now.activity !== before.activity) await tell(tables, agent, 'agent.activity_changed', at, 'agent', { activity: now.activity })
      for (const condition of raised) await tell(tables, agent, 'agent.condition_raised', at, 'agent', { ...condition } as JsonObject)
      for (const condition of cleared) await tell(tables, agent, 'agent.condition_cleared', at, 'agent', { ...condition } as JsonObject)
    })
  }
}

const same = (one: Condition, other: Condition): boolean =>
  one.type === other.type && one.subject === other.subject && one.message === other.message
