import type { Call, CallContext, OpenStream, OperationShape } from '../contract/operation.ts'
import { operations } from '../contract/operations.ts'
import { roles } from '../contract/tokens.ts'
import type { Clock } from '../kernel/clock.ts'
import { RegentError } from '../kernel/errors.ts'
import { checkJson, type Json, type JsonObject } from '../kernel/json.ts'
import type { NewEvent, Store, Tables } from '../ports/store.ts'
import { fingerprint, invalid } from './agents/definitions.ts'
import type { Handlers, Handling, Streams, Watching } from './handling.ts'

export interface Dispatching {
  readonly store: Store
  readonly clock: Clock
  readonly handlers: Handlers
  readonly streams: Streams
  /** True once no new work may begin. */
  readonly closing: () => boolean
  /** Why there is no room for new work, where there is none. */
  readonly shortage: () => RegentError | undefined
}

/** What ends or frees something is done on a full disk too. */
const evenWhenFull: readonly string[] = [
  'agents.stop',
  'agents.stop_all',
  'agents.signal',
  'agents.delete',
  'agents.clear_logs',
  'approvals.approve',
  'approvals.reject',
  'tokens.revoke',
  'workers.cancel',
  'workers.wait',
  'workers.claim',
  'workers.delete',
  'races.cancel',
  'system.backup',
]

/** The one way in: finds the operation, validates the input, checks the role, and hands it to its handler. */
export function createDispatch(options: Dispatching): { call: Call; open: OpenStream } {
  return {
    async call(name, input, context) {
      const { operation, parsed } = admit(options, name, input, context, 'value')
      const handler = options.handlers[operation.name as keyof Handlers] as (input: object, handling: Handling) => Promise<object>
      const { caller, signal } = context
      return handler(parsed, { caller, signal, given: input, accept: acceptance(options, operation.name, parsed, context) })
    },
    open(name, input, context) {
      const { operation, parsed } = admit(options, name, input, context, 'stream')
      const stream = options.streams[operation.name as keyof Streams] as (input: object, handling: Watching) => AsyncIterable<object>
      const { caller } = context
      const signal = caller.revoked ? AbortSignal.any([context.signal, caller.revoked]) : context.signal
      return stream(parsed, { caller, signal })
    },
  }
}

function admit(
  options: Dispatching,
  name: string,
  input: object,
  context: CallContext,
  reply: OperationShape['reply'],
): { operation: OperationShape; parsed: object } {
  const operation: OperationShape | undefined = Object.hasOwn(operations, name) ? operations[name as keyof typeof operations] : undefined
  if (operation?.reply !== reply) throw new RegentError('NOT_FOUND', `there is no operation '${name.slice(0, 80)}'`)
  const { caller } = context
  if (roles.indexOf(caller.role) < roles.indexOf(operation.role))
    throw new RegentError('FORBIDDEN', `${name} needs the role ${operation.role}; ${caller.user} has ${caller.role}`)
  if (options.closing() && operation.effect !== 'read')
    throw new RegentError('UNAVAILABLE', 'Regent is shutting down', { retryAfter: 5, hint: 'try again once it runs again' })
  const shortage = operation.effect === 'read' || evenWhenFull.includes(operation.name) ? undefined : options.shortage()
  if (shortage) throw shortage
  if (operation.effect !== 'read') checkJson(input)
  const parsed = operation.input.safeParse(input)
  if (!parsed.success) throw invalid(parsed.error)
  return { operation, parsed: parsed.data }
}

const MAX_KEY = 200

function acceptance(options: Dispatching, operation: string, input: object, { caller, key, origin }: CallContext): Handling['accept'] {
  const told = (tables: Tables) => (origin === undefined ? tables : withOrigin(tables, origin))
  if (key === undefined) return (work) => options.store.transaction((tables) => work(told(tables)))
  if (key.length === 0 || key.length > MAX_KEY) throw new RegentError('INVALID', `the idempotency key must have 1 to ${MAX_KEY} characters`)
  const inputHash = fingerprint([operation, input])
  return <T>(work: Parameters<typeof options.store.transaction<T>>[0]) =>
    options.store.transaction(async (tables) => {
      const known = await tables.commands.get(caller.user, key)
      if (known && known.inputHash !== inputHash)
        throw new RegentError('INVALID', 'this idempotency key was used for another command', { hint: 'use a new key for each command' })
      if (known) return known.answer as T
      const answer = await work(told(tables))
      await tables.commands.insert({
        caller: caller.user,
        key,
        operation,
        inputHash,
        answer: (answer ?? null) as Json,
        at: options.clock.now(),
      })
      return answer
    })
}

/** The same tables, but that each event tells where it comes from. */
function withOrigin(tables: Tables, origin: JsonObject): Tables {
  const { events } = tables
  const told = (event: NewEvent): NewEvent => ({ ...event, data: { ...event.data, origin } })
  return {
    ...tables,
    events: {
      append: (event) => events.append(told(event)),
      appendAll: (all) => events.appendAll(all.map(told)),
      list: (filter) => events.list(filter),
      window: () => events.window(),
      prune: (keep) => events.prune(keep),
      measure: (range) => events.measure(range),
      thin: (range) => events.thin(range),
    },
  }
}
