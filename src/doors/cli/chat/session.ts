import { randomUUID } from 'node:crypto'
import type { Client } from '../../../client/client.ts'
import type { AgentView } from '../../../contract/agents.ts'
import type { EventView } from '../../../contract/events.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import { fullName } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { clean, duration } from '../output/text.ts'
import type { Lines } from './lines.ts'
import { Transcript } from './transcript.ts'

export interface ChatOptions {
  readonly agent: AgentView
  readonly conversation: string
  /** The journal's newest event when the chat began. */
  readonly from: number
}

const HELP = '/exit or Ctrl-D leaves; Ctrl-C ends the waiting for an answer; y or n answers what is asked; all else goes to the agent'

/** A person and an agent, taking turns. Everything shown comes from the journal, so what other doors do is seen too. */
export class ChatSession {
  readonly #cli: Cli
  readonly #client: Client
  readonly #lines: Lines
  readonly #options: ChatOptions
  readonly #transcript: Transcript
  readonly #over = new AbortController()
  /** Ids of messages sent here; the last hundred. */
  readonly #mine = new Set<string>()
  readonly #asking = new Map<string, AbortController>()
  #turn: { readonly id: string; readonly end: () => void } | undefined

  constructor(cli: Cli, client: Client, lines: Lines, options: ChatOptions) {
    this.#cli = cli
    this.#client = client
    this.#lines = lines
    this.#options = options
    this.#transcript = new Transcript((text) => lines.write(text), cli.terminal.paint)
    lines.onInterrupt(() => this.#interrupted())
  }

  /** Until the input ends, `/exit`, or Ctrl-C outside a turn. */
  async run(): Promise<void> {
    const signal = AbortSignal.any([this.#cli.signal, this.#over.signal])
    signal.addEventListener('abort', () => this.#turn?.end(), { once: true })
    let failure: unknown
    const following = this.#follow(signal).catch((error) => {
      failure = error
      this.#over.abort()
    })
    for (;;) {
      const line = await this.#lines.next('you> ', signal)
      if (line === undefined || /^\/(exit|quit)$/.test(line.trim())) break
      if (line.trim() === '/help') this.#transcript.note(HELP)
      else if (line.trim() !== '') await this.#say(line, signal)
    }
    this.#over.abort()
    await following
    if (failure !== undefined) throw failure
  }

  async #say(content: string, signal: AbortSignal): Promise<void> {
    const { agent, conversation } = this.#options
    const id = randomUUID()
    this.#mine.add(id)
    for (const old of this.#mine) if (this.#mine.size > 100) this.#mine.delete(old)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#turn = { id, end: resolve }
    try {
      await this.#client.call('messages.send', { agent: agent.id, content, id, conversation }, { signal })
      await promise
    } catch (error) {
      if (!(error instanceof RegentError)) throw error
      this.#transcript.note(`not sent: ${error.message}${error.hint === undefined ? '' : ` (${error.hint})`}`)
    } finally {
      this.#turn = undefined
      this.#transcript.end()
    }
  }

  #interrupted(): void {
    if (this.#turn === undefined) this.#over.abort()
    else this.#transcript.note('not waiting any longer; the agent works on. Ctrl-C again leaves.')
    this.#turn?.end()
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { agent, from } = this.#options
    const onLost = (error: RegentError) => this.#transcript.note(`${error.message}; connecting again`)
    for await (const item of this.#client.open(
      'events.stream',
      { agent: agent.id, deltas: true },
      { signal, lastEventId: String(from), onLost },
    )) {
      if (item.kind === 'delta') {
        if (this.#mine.has(item.message_id)) this.#transcript.delta(item)
      } else if (item.kind === 'event') this.#happened(item.event, signal)
      else this.#transcript.note('some of what happened is no longer kept and is missing here')
    }
  }

  #happened({ type, data }: EventView, signal: AbortSignal): void {
    const isTurn = this.#turn !== undefined && data.id === this.#turn.id
    switch (type) {
      case 'message.sent':
        if ((data.conversation ?? 'main') === this.#options.conversation) this.#transcript.said(data)
        return
      case 'message.acknowledged':
        if (isTurn) this.#turn?.end()
        return
      case 'message.dead':
        if (this.#mine.has(String(data.id))) this.#transcript.note(`given up: ${String(data.reason ?? 'no reason told')}`)
        if (isTurn) this.#turn?.end()
        return
      case 'approval.requested':
        void this.#ask(data, signal)
        return
      case 'approval.answered':
        this.#asking.get(String(data.id))?.abort()
        this.#transcript.note(`${String(data.tool)}: ${data.confirmed === true ? 'approved' : 'rejected'} by ${String(data.by)}`)
        return
      case 'run.exited':
      case 'run.fatal':
      case 'run.backoff':
      case 'run.stopped':
        this.#transcript.note(
          `${fullName(this.#options.agent)}: ${type.slice('run.'.length)}${data.reason === undefined ? '' : `, ${String(data.reason)}`}`,
        )
        return
      case 'agent.deleted':
        this.#transcript.note(`${fullName(this.#options.agent)} was deleted`)
        this.#over.abort()
    }
  }

  /** Asks inline; an answer from another door, or the time limit, takes the question away. */
  async #ask(data: EventView['data'], signal: AbortSignal): Promise<void> {
    const id = String(data.id)
    const answered = new AbortController()
    this.#asking.set(id, answered)
    const left = duration(Math.max(0, Number(data.expires_at) - Date.now()))
    this.#transcript.note(
      `${String(data.subagent)} wants to run ${String(data.server)}.${String(data.tool)} ${clean(JSON.stringify(data.arguments))}`,
    )
    try {
      for (;;) {
        const line = await this.#lines.next(
          `allow it? [y/n] (${String(data.default)} in ${left}) `,
          AbortSignal.any([signal, answered.signal]),
        )
        if (line === undefined) return
        const [, yes, no] = /^\s*(?:(y|yes)|(n|no))\s*$/i.exec(line) ?? []
        if (yes === undefined && no === undefined) continue
        await this.#client.call(yes === undefined ? 'approvals.reject' : 'approvals.approve', { id }, { signal })
        return
      }
    } catch (error) {
      if (!signal.aborted) this.#transcript.note(`the answer did not count: ${reasonOf(error)}`)
    } finally {
      this.#asking.delete(id)
    }
  }
}
