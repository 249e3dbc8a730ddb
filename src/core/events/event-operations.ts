import type { Delta, EventView } from '../../contract/events.ts'
import type { Input, Output } from '../../contract/operations.ts'
import type { Caller } from '../../contract/tokens.ts'
import { Batches } from '../../kernel/batches.ts'
import type { EventRow, Store } from '../../ports/store.ts'
import { findAgent } from '../agents/find.ts'
import type { Handlers, Streams } from '../handling.ts'
import type { Deltas } from './deltas.ts'
import type { Journal, JournalFilter } from './journal.ts'

export interface EventOptions {
  readonly store: Store
  readonly journal: Journal
  readonly deltas: Deltas
}

type Item = Output<'events.stream'>
type Filter = () => Promise<JournalFilter>

/** Pieces that may wait for a reader; past that the oldest are dropped: the whole text comes as an event anyway. */
const MOST_DELTAS = 1000

export function eventOperations({ store }: EventOptions): Handlers<'events.list'> {
  return {
    async 'events.list'({ after, limit, agent, types }, { caller }) {
      const filter = await filterOf(store, { agent, types }, caller)
      const [events, window] = await Promise.all([store.read.events.list({ ...filter, after, limit }), store.read.events.window()])
      return { events: events.map(eventViewOf), ...window }
    },
  }
}

export function eventStreams(options: EventOptions): Streams<'events.stream'> {
  return {
    'events.stream'({ after, agent, types, deltas }, { caller, signal }) {
      const filter = () => filterOf(options.store, { agent, types }, caller)
      const events = new Batches(eventItems(options.journal, after, filter, signal))
      return deltas ? merged(events, options.deltas, filter, signal) : events
    },
  }
}

async function filterOf(
  store: Store,
  { agent, types }: Pick<Input<'events.stream'>, 'agent' | 'types'>,
  caller: Caller,
): Promise<JournalFilter> {
  const agentId = agent === undefined ? undefined : (await findAgent(store.read, agent, caller)).id
  return {
    ...(caller.role !== 'admin' && { owner: caller.user }),
    ...(agentId !== undefined && { agentId }),
    ...(types !== undefined && { types }),
  }
}

async function* eventItems(journal: Journal, after: number | undefined, filter: Filter, signal: AbortSignal): AsyncGenerator<Item[]> {
  for await (const batch of journal.batches(after, await filter(), signal))
    yield batch.kind === 'resync' ? [batch] : batch.events.map((event) => ({ kind: 'event', event: eventViewOf(event) }))
}

/** Events and deltas in the order they come. */
async function* merged(items: AsyncIterable<Item>, hub: Deltas, given: Filter, signal: AbortSignal): AsyncGenerator<Item> {
  const filter = await given()
  const events = items[Symbol.asyncIterator]()
  const pieces: Item[] = []
  let wake = () => {}
  const unsubscribe = hub.subscribe((delta) => {
    if (!wanted(delta, filter)) return
    if (pieces.length >= MOST_DELTAS) pieces.shift()
    pieces.push({
      kind: 'delta',
      agent: delta.agent,
      agent_id: delta.agentId,
      message_id: delta.messageId,
      author: delta.author,
      text: delta.text,
    })
    wake()
  })
  let next = events.next()
  try {
    while (!signal.aborted) {
      const piece = pieces.shift()
      if (piece) {
        yield piece
        continue
      }
      const arrival = new Promise<'piece'>((resolve) => {
        wake = () => resolve('piece')
      })
      const first = await Promise.race([next, arrival])
      if (first === 'piece') continue
      if (first.done) return
      yield* pieces.splice(0)
      yield first.value
      next = events.next()
    }
  } finally {
    unsubscribe()
    await events.return?.()
  }
}

const wanted = (delta: Delta, { owner, agentId }: JournalFilter): boolean =>
  (owner === undefined || delta.owner === owner) && (agentId === undefined || delta.agentId === agentId)

function eventViewOf(row: EventRow): EventView {
  return {
    number: row.number,
    at: row.at,
    type: row.type,
    agent_id: row.agentId,
    agent: row.agent,
    owner: row.owner,
    actor: row.actor,
    data: { ...row.data },
  }
}
