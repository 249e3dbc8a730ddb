import type { MessageView } from '../../contract/messages.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { AgentRow, MessageFilter, MessageRow, Store } from '../../ports/store.ts'
import { findAgent, mayTouch } from '../agents/find.ts'
import type { Journal } from '../events/journal.ts'
import type { Handlers } from '../handling.ts'
import { post, postAll } from './inbox.ts'
import type { Links } from './links.ts'
import { messageViewOf } from './message-views.ts'

export interface MessageOptions {
  readonly store: Store
  readonly journal: Journal
  readonly clock: Clock
  readonly ids: Ids
  readonly links: Pick<Links, 'deliver'>
}

const DEFAULT_WAIT_MS = 600_000
/** After so many characters a page of messages ends; it is read in steps of so many messages. */
const PAGE_CHARS = 4_000_000
const STEP = 25

export function messageOperations(
  options: MessageOptions,
): Handlers<'messages.send' | 'messages.send_many' | 'messages.list' | 'messages.get'> {
  const { store, clock, ids, links } = options
  return {
    async 'messages.send'({ agent, content, id, conversation, metadata, wait, timeout }, { caller, accept, signal }) {
      const row = await findAgent(store.read, agent, caller)
      if (row.kind === 'command') throw deaf(row)
      const message = {
        id: id ?? ids.next(),
        isNew: id === undefined,
        conversation,
        content,
        metadata: metadata as JsonObject,
        sender: caller.user,
        actor: caller.user,
      }
      const from = options.journal.newest
      const accepted = await accept((tables) => post(tables, row, message, clock))
      links.deliver(row.id)
      const reply = wait ? await outcome(options, row, accepted, from, { signal, timeoutMs: timeout ?? DEFAULT_WAIT_MS }) : null
      return { message: await viewById(options, row, accepted), reply }
    },
    async 'messages.send_many'({ agent, messages }, { caller, accept }) {
      const row = await findAgent(store.read, agent, caller)
      if (row.kind === 'command') throw deaf(row)
      const from = { sender: caller.user, actor: caller.user }
      const posts = messages.map(({ id, conversation, content, metadata }) => ({
        ...{ id: id ?? ids.next(), isNew: id === undefined, conversation, content, metadata: metadata as JsonObject },
        ...from,
      }))
      const accepted = await accept(async (tables) => {
        await postAll(tables, row, posts, clock)
        return posts.map(({ id }) => id)
      })
      links.deliver(row.id)
      return { ids: accepted }
    },
    async 'messages.list'({ agent, conversation, after, limit }, { caller }) {
      const row = await findAgent(store.read, agent, caller)
      const from = after === undefined ? 'newest' : 'oldest'
      const filter = {
        agentId: row.id,
        limit,
        from,
        ...(conversation !== undefined && { conversation }),
        ...(after !== undefined && { after }),
      } as const
      return { messages: (await page(store, filter)).map((message) => messageViewOf(row, message)) }
    },
    async 'messages.get'({ id }, { caller }) {
      const message = await store.read.messages.get(id)
      const agent = message && (await store.read.agents.get(message.agentId))
      if (!agent || !mayTouch(caller, agent.owner)) throw new RegentError('NOT_FOUND', `there is no message '${id}'`)
      const reply = await store.read.messages.finalReply(id)
      return { message: messageViewOf(agent, message), reply: reply ? messageViewOf(agent, reply) : null }
    },
  }
}

/** Fewer than were asked for where they are long: a page has an end that memory can hold. */
async function page(store: Store, filter: MessageFilter): Promise<readonly MessageRow[]> {
  let rows: readonly MessageRow[] = []
  let chars = 0
  while (rows.length < filter.limit && chars < PAGE_CHARS) {
    const newest = filter.from === 'newest'
    const edge = newest ? rows[0] && { before: rows[0].number } : rows.at(-1) && { after: rows.at(-1)?.number ?? 0 }
    const more = await store.read.messages.list({ ...filter, ...edge, limit: Math.min(STEP, filter.limit - rows.length) })
    if (more.length === 0) break
    rows = newest ? [...more, ...rows] : [...rows, ...more]
    for (const { content } of more) chars += typeof content === 'string' ? content.length : JSON.stringify(content).length
  }
  return rows
}

const deaf = ({ owner, name }: AgentRow): RegentError =>
  new RegentError('ILLEGAL_STATE', `${owner}/${name} is a command: it takes no messages`, {
    hint: `teams do; what it prints: regent logs ${owner}/${name}`,
  })

async function viewById({ store }: MessageOptions, agent: AgentRow, id: string): Promise<MessageView> {
  const message = await store.read.messages.get(id)
  if (!message) throw new RegentError('NOT_FOUND', `there is no message '${id}'`)
  return messageViewOf(agent, message)
}

/**
 * Waits until the message is worked through, from a position of the journal taken before it was accepted, so that no end is missed.
 * Throws UPSTREAM when it was given up, TIMED_OUT when it takes longer; the message stays where it is.
 */
async function outcome(
  options: MessageOptions,
  agent: AgentRow,
  id: string,
  from: number,
  waiting: { signal: AbortSignal; timeoutMs: number },
): Promise<MessageView | null> {
  const { store, journal, clock } = options
  const over = new AbortController()
  const cancel = clock.after(waiting.timeoutMs, () => over.abort(notYet(agent, waiting.timeoutMs)))
  const signal = AbortSignal.any([waiting.signal, over.signal])
  try {
    const known = await ended(store, agent, id)
    if (known) return known.reply
    for await (const item of journal.read(
      from,
      { agentId: agent.id, types: ['message.acknowledged', 'message.dead', 'agent.deleted'] },
      signal,
    )) {
      if (item.kind === 'event' && item.event.type !== 'agent.deleted' && item.event.data.id !== id) continue
      const end = await ended(store, agent, id)
      if (end) return end.reply
    }
    throw signal.reason
  } finally {
    cancel()
    over.abort()
  }
}

async function ended(store: Store, agent: AgentRow, id: string): Promise<{ reply: MessageView | null } | undefined> {
  const message = await store.read.messages.get(id)
  const name = `${agent.owner}/${agent.name}`
  if (!message) throw new RegentError('NOT_FOUND', `${name} was deleted before it answered`)
  if (message.state === 'dead')
    throw new RegentError('UPSTREAM', `${name} could not work on it: ${message.reason}`, { details: { message: id } })
  if (message.state !== 'acknowledged') return undefined
  const reply = await store.read.messages.finalReply(id)
  return { reply: reply ? messageViewOf(agent, reply) : null }
}

const notYet = (agent: AgentRow, ms: number): RegentError =>
  new RegentError('TIMED_OUT', `no answer of ${agent.owner}/${agent.name} within ${Math.round(ms / 1000)} s; the message stays with it`, {
    hint: `what it says will be in: regent events --agent ${agent.owner}/${agent.name}`,
  })
