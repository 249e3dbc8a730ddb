import { type BrokerName, brokerNames, type DeadLetterView } from '../../contract/bus-operations.ts'
import type { Input, Output } from '../../contract/operations.ts'
import type { Caller } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { Brokers, NamedBroker } from '../../ports/brokers.ts'
import type { DeadLetter } from '../../ports/bus.ts'
import type { AgentRow, MessageRow, Store, Tables } from '../../ports/store.ts'
import { findAgent, mayTouch } from '../agents/find.ts'
import { post } from '../conversations/inbox.ts'
import type { Links } from '../conversations/links.ts'
import type { Handlers, Handling } from '../handling.ts'
import { tell } from '../supervision/situation.ts'
import { brokerNamed, needAdmin } from './places.ts'

export interface DeadLetterOptions {
  readonly store: Store
  readonly brokers: Brokers
  readonly clock: Clock
  readonly ids: Ids
  readonly links: Pick<Links, 'deliver'>
}

type Operations = 'bus.dead.list' | 'bus.dead.show' | 'bus.dead.requeue' | 'bus.dead.drop'

const INBOX = 'inbox'
const SHOWN_CHARS = 500
/** Among so many letters of a broker one is looked for. */
const MOST_LETTERS = 1000
/** A broker that does not tell its dead letters by then is told as one that cannot be asked. */
const PATIENCE_MS = 5000

/** What was given up: by agents, in their inboxes, for their owners; by subscribers, at brokers, for admins. */
export function deadLetterOperations(options: DeadLetterOptions): Handlers<Operations> {
  return {
    'bus.dead.list': (input, { caller }) => list(options, input, caller),
    'bus.dead.show': ({ id }, { caller }) => show(options, id, caller),
    async 'bus.dead.requeue'({ id }, handling) {
      const { broker, inner } = partsOf(id)
      if (broker === INBOX) return requeueMessage(options, inner, handling)
      const named = forAdmin(options, broker, handling.caller, id)
      const letter = await findLetter(options, named, inner)
      const done = letter !== undefined && (await named.bus.requeue(inner))
      return told(options, 'message.requeued', named, done ? letter : undefined, id, handling, (message_id) => ({ id, message_id }))
    },
    async 'bus.dead.drop'({ id }, handling) {
      const { broker, inner } = partsOf(id)
      if (broker === INBOX) return dropMessage(options, inner, handling)
      const named = forAdmin(options, broker, handling.caller, id)
      const letter = await findLetter(options, named, inner)
      const done = letter !== undefined && (await named.bus.drop(inner))
      return told(options, 'message.dropped', named, done ? letter : undefined, id, handling, () => ({ id, dropped: true }))
    },
  }
}

async function list(options: DeadLetterOptions, input: Input<'bus.dead.list'>, caller: Caller): Promise<Output<'bus.dead.list'>> {
  const { broker, topic, agent, limit } = input
  if (agent !== undefined && broker !== undefined && broker !== INBOX)
    throw new RegentError('INVALID', 'agent and broker were both given', { hint: `dead messages of an agent are in its inbox` })
  if (broker !== undefined && broker !== INBOX) needAdmin(caller, 'a list of dead letters at a broker')
  const ofInboxes = (broker === undefined || broker === INBOX) && topic === undefined ? await inInboxes(options, agent, caller, limit) : []
  const asked = agent !== undefined || broker === INBOX || caller.role !== 'admin' ? [] : brokersOf(options.brokers, broker)
  const unreachable: { broker: string; reason: string }[] = []
  const found = await Promise.all(
    asked.map((named) =>
      soon(options.clock, named.bus.deadLetters(topic === undefined ? undefined : { name: topic }, limit)).then(
        (letters) => letters.map((letter) => viewOf(named, letter)),
        (error: unknown) => {
          unreachable.push({ broker: named.name, reason: reasonOf(error) })
          return []
        },
      ),
    ),
  )
  const letters = [...ofInboxes, ...found.flat()].sort((a, b) => a.at - b.at).slice(-limit)
  return { letters: letters.map((one) => ({ ...one, body: one.body.slice(0, SHOWN_CHARS) })), unreachable }
}

const brokersOf = (brokers: Brokers, name: BrokerName | undefined): readonly NamedBroker[] =>
  name === undefined ? brokers.configured : [brokerNamed(brokers, name)]

async function inInboxes({ store }: DeadLetterOptions, ref: string | undefined, caller: Caller, limit: number): Promise<DeadLetterView[]> {
  const { read } = store
  const mine =
    ref === undefined ? await read.agents.list(caller.role === 'admin' ? {} : { owner: caller.user }) : [await findAgent(read, ref, caller)]
  const agents = new Map(mine.map((agent) => [agent.id, agent]))
  const whole = ref === undefined && caller.role === 'admin'
  const rows = await read.messages.dead(whole ? undefined : [...agents.keys()], limit)
  return rows.flatMap((row) => {
    const agent = agents.get(row.agentId)
    return agent ? [inboxView(agent, row)] : []
  })
}

async function show(options: DeadLetterOptions, id: string, caller: Caller): Promise<DeadLetterView> {
  const { broker, inner } = partsOf(id)
  if (broker === INBOX) {
    const { agent, row } = await deadMessage(options.store.read, inner, caller)
    return inboxView(agent, row)
  }
  const named = forAdmin(options, broker, caller, id)
  const letter = await findLetter(options, named, inner)
  if (!letter) throw gone(id)
  return viewOf(named, letter)
}

/** The runner knows the id of what it gave up, so that it is given as a new message; the old one tells which. */
async function requeueMessage(
  { clock, ids, links }: DeadLetterOptions,
  id: string,
  { caller, accept }: Handling,
): Promise<Output<'bus.dead.requeue'>> {
  const fresh = ids.next()
  const done = await accept(async (tables) => {
    const { agent, row } = await deadMessage(tables, id, caller)
    const { conversation, metadata, sender } = row
    const content = typeof row.content === 'string' ? row.content : JSON.stringify(row.content)
    await post(tables, agent, { id: fresh, conversation, content, metadata, sender, actor: caller.user }, clock)
    await tables.messages.update(id, { state: 'acknowledged', reason: `requeued by ${caller.user} as ${fresh}` })
    await tell(tables, agent, 'message.requeued', clock.now(), caller.user, { id, as: fresh, reason: row.reason })
    return { id: `${INBOX}:${id}`, message_id: fresh, agent_id: agent.id }
  })
  links.deliver(done.agent_id)
  return { id: done.id, message_id: done.message_id }
}

async function dropMessage({ clock }: DeadLetterOptions, id: string, { caller, accept }: Handling): Promise<Output<'bus.dead.drop'>> {
  return accept(async (tables) => {
    const { agent, row } = await deadMessage(tables, id, caller)
    await tables.messages.update(id, { state: 'acknowledged', reason: `dropped by ${caller.user}` })
    await tell(tables, agent, 'message.dropped', clock.now(), caller.user, { id, reason: row.reason })
    return { id: `${INBOX}:${id}`, dropped: true }
  })
}

async function deadMessage(tables: Tables, id: string, caller: Caller): Promise<{ agent: AgentRow; row: MessageRow }> {
  const row = await tables.messages.get(id)
  const agent = row?.state === 'dead' ? await tables.agents.get(row.agentId) : undefined
  if (!row || !agent || !mayTouch(caller, agent.owner)) throw gone(`${INBOX}:${id}`)
  return { agent, row }
}

function partsOf(id: string): { broker: BrokerName | typeof INBOX; inner: string } {
  const colon = id.indexOf(':')
  const broker = [...brokerNames, INBOX].find((name) => name === id.slice(0, Math.max(0, colon)))
  if (broker === undefined) throw gone(id)
  return { broker: broker as BrokerName | typeof INBOX, inner: id.slice(colon + 1) }
}

function forAdmin({ brokers }: DeadLetterOptions, broker: BrokerName, caller: Caller, id: string): NamedBroker {
  // Whoever may not see it is told the same of what is there and what is not.
  if (caller.role !== 'admin') throw gone(id)
  return brokerNamed(brokers, broker)
}

const findLetter = async ({ clock }: DeadLetterOptions, { bus }: NamedBroker, inner: string): Promise<DeadLetter | undefined> =>
  (await soon(clock, bus.deadLetters(undefined, MOST_LETTERS))).find((letter) => letter.id === inner)

/** Throws UNAVAILABLE when it takes longer than a person would wait. */
async function soon<T>(clock: Clock, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const told = new RegentError('UNAVAILABLE', `the broker has not answered for ${PATIENCE_MS / 1000} s`, { retryAfter: 5 })
  const cancel = clock.after(PATIENCE_MS, () => late.reject(told))
  try {
    return await Promise.race([work, late.promise])
  } finally {
    cancel()
    work.catch(() => undefined) // It may fail after it was given up.
  }
}

/** The event of what was done to a letter; without one it is gone, unless this very command was done before. */
function told<Answer>(
  { clock }: DeadLetterOptions,
  type: 'message.requeued' | 'message.dropped',
  { name }: NamedBroker,
  letter: DeadLetter | undefined,
  id: string,
  { caller, accept }: Handling,
  answer: (messageId: string) => Answer,
): Promise<Answer> {
  return accept(async (tables) => {
    if (!letter) throw gone(id)
    const { message, group, reason } = letter
    const data = { broker: name, topic: message.topic.name, group, id: message.id, reason }
    await tables.events.append({ at: clock.now(), type, agentId: null, agent: null, owner: null, actor: caller.user, data })
    return answer(message.id)
  })
}

const gone = (id: string): RegentError =>
  new RegentError('NOT_FOUND', `there is no dead letter '${id}'`, { hint: 'list them with: regent bus dead list' })

const viewOf = ({ name }: NamedBroker, { id, message, group, reason, at }: DeadLetter): DeadLetterView => ({
  id: `${name}:${id}`,
  broker: name,
  topic: message.topic.name,
  group,
  agent: null,
  message_id: message.id,
  reason,
  attempts: message.attempt,
  at,
  body: message.body,
  content_type: message.contentType ?? null,
  key: message.key ?? null,
  headers: { ...message.headers },
})

const inboxView = ({ owner, name }: AgentRow, row: MessageRow): DeadLetterView => ({
  id: `${INBOX}:${row.id}`,
  broker: INBOX,
  topic: null,
  group: null,
  agent: `${owner}/${name}`,
  message_id: row.id,
  reason: row.reason ?? '',
  attempts: row.tries,
  at: row.at,
  body: typeof row.content === 'string' ? row.content : JSON.stringify(row.content),
  content_type: null,
  key: null,
  headers: {},
})
