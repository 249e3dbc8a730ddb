import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify'
import type { CallContext, OperationShape } from '../../contract/operation.ts'
import { operationList } from '../../contract/operations.ts'
import type { Core } from '../../core/core.ts'
import { RegentError } from '../../kernel/errors.ts'
import { checkJson, isObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import { callerSignal, untilClosing } from './caller-signal.ts'
import type { HttpLimits } from './limits.ts'
import type { Shutdown } from './shutdown.ts'
import { sendStream } from './stream.ts'

export interface NativeApiOptions {
  readonly core: Core
  readonly shutdown: Shutdown
  readonly limits: HttpLimits
  readonly logger: Logger
}

/** What counts against a caller's limit of creates. */
const creating = new Set(['agents.create', 'agents.apply', 'tokens.create'])

/** Streams that end by themselves unless they are followed. */
const mayEnd = new Set(['agents.logs', 'logs.stream'])

/** Every operation of the table at its address. The core validates; this only puts an input together from path, query and body. */
export function nativeApi(app: FastifyInstance, options: NativeApiOptions): void {
  for (const operation of operationList) {
    app.route({
      method: operation.http.method as HTTPMethods,
      url: operation.http.path,
      exposeHeadRoute: operation.reply === 'value',
      config: { creates: creating.has(operation.name) },
      handler: operation.reply === 'stream' ? streamed(operation, options) : answered(operation, options),
    })
  }
}

function answered(operation: OperationShape, { core, shutdown }: NativeApiOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<object> => {
    const input = inputOf(request)
    if (operation.name === 'agents.update') addIfMatch(input, request)
    const gone = callerSignal(reply)
    const call = (signal: AbortSignal): Promise<object> => core.call(operation.name, input, contextOf(operation, request, signal))
    const output = 'wait' in input ? await untilClosing(gone, shutdown.waits, call) : await call(gone)
    describeOutput(operation.name, output, reply)
    return output
  }
}

function streamed(operation: OperationShape, { core, shutdown, limits, logger }: NativeApiOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const input = inputOf(request)
    const last = request.headers['last-event-id']
    if (operation.name === 'events.stream' && last !== undefined && last !== '') input.after = String(last)
    const follows = !mayEnd.has(operation.name) || input.follow === 'true' || input.follow === '1'
    await sendStream({
      request,
      reply,
      open: (signal) => core.open(operation.name, input, contextOf(operation, request, signal)),
      form: formOf(request.headers.accept, follows),
      resumable: operation.name === 'events.stream',
      closing: shutdown.streams,
      limits,
      logger,
    })
  }
}

/** What the caller accepts; server-sent events where a stream is followed, lines of JSON where it ends by itself. */
function formOf(accept: string | undefined, follows: boolean): 'sse' | 'ndjson' {
  if (accept?.includes('text/event-stream')) return 'sse'
  if (accept?.includes('application/x-ndjson') || accept?.includes('application/json')) return 'ndjson'
  return follows ? 'sse' : 'ndjson'
}

/** Path, query and body as one input. A key that comes twice is refused, whatever it says: nobody should guess which one counts. */
function inputOf(request: FastifyRequest): Record<string, unknown> {
  const { body } = request
  if (body !== undefined && body !== null && !isObject(body)) throw invalid('', 'the body must be a JSON object')
  const input: Record<string, unknown> = {}
  add(input, request.params)
  for (const [key, value] of Object.entries(request.query ?? {})) {
    if (Array.isArray(value)) throw invalid(key, 'is given twice')
    take(input, key, value)
  }
  // The body was checked as it was parsed.
  checkJson(input)
  add(input, body)
  return input
}

function add(input: Record<string, unknown>, part: unknown): void {
  if (!isObject(part)) return
  for (const [key, value] of Object.entries(part)) take(input, key, value)
}

function take(input: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__') throw invalid(key, 'is a forbidden key')
  if (Object.hasOwn(input, key)) throw invalid(key, 'is given twice')
  input[key] = value
}

function contextOf(operation: OperationShape, request: FastifyRequest, signal: AbortSignal): CallContext {
  const key = operation.effect === 'read' ? undefined : request.headers['idempotency-key']
  if (key !== undefined && (typeof key !== 'string' || !/^[\x21-\x7e]{1,200}$/.test(key)))
    throw invalid('Idempotency-Key', 'must be 1 to 200 visible ASCII characters')
  return { caller: request.caller, signal, ...(key !== undefined && { key }) }
}

/** `If-Match: "3"` is the revision that the caller saw. */
function addIfMatch(input: Record<string, unknown>, request: FastifyRequest): void {
  const header = request.headers['if-match']
  if (header === undefined || header === '*') return
  const revision = /^"(\d{1,15})"$/.exec(header)?.[1]
  if (revision === undefined) throw invalid('If-Match', 'must be the ETag of the agent, such as "3"')
  if (Object.hasOwn(input, 'if_revision')) throw invalid('if_revision', 'is given twice')
  input.if_revision = Number(revision)
}

function describeOutput(name: string, output: object, reply: FastifyReply): void {
  const { id, revision } = output as { id?: unknown; revision?: unknown }
  if (typeof revision === 'number' && (name === 'agents.get' || name === 'agents.create' || name === 'agents.update'))
    reply.header('etag', `"${revision}"`)
  if (name === 'agents.create') reply.code(201).header('location', `/api/v1/agents/${String(id)}`)
  if (name === 'tokens.create') reply.code(201)
}

function invalid(path: string, problem: string): RegentError {
  const message = path === '' ? problem : `${path} ${problem}`
  return new RegentError('INVALID', message, { fields: [{ path, message: problem }] })
}
