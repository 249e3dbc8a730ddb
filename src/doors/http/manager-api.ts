import { access } from 'node:fs/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AgentDetail, AgentView } from '../../contract/agents.ts'
import type { Output } from '../../contract/operations.ts'
import type { RunState } from '../../contract/states.ts'
import type { Core } from '../../core/core.ts'
import { RegentError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import { statusLine } from '../shared/supervisorctl-lines.ts'
import { nameComplaints, readAgentConfig } from './agent-config.ts'
import { callerSignal, untilClosing } from './caller-signal.ts'
import { fastapiHandler, refuse } from './fastapi-errors.ts'
import type { Shutdown } from './shutdown.ts'

export interface ManagerApiOptions {
  readonly core: Core
  readonly shutdown: Shutdown
  readonly logger: Logger
}

/** An agent as this dialect names it. */
interface Target {
  readonly user: string
  readonly name: string
  /** `user/name`. */
  readonly ref: string
}

/** Asks the core in the caller's name. */
type Ask = (operation: string, input: object) => Promise<object>

/** Codes that mean the same in every dialect: come back later, or never. */
const passedOn: ReadonlySet<string> = new Set(['FORBIDDEN', 'TOO_MANY', 'UNAVAILABLE', 'NO_SPACE', 'NOT_YET'])
const alive: readonly RunState[] = ['STARTING', 'RUNNING', 'STOPPING']
/** Words that another dialect has at the place of a name. */
const fixedWords: readonly string[] = ['available', 'runbooks', 'capabilities']

/**
 * The manager API: template agents, addressed by `username` and name. Success is 200 and given once the outcome was seen; errors
 * are FastAPI's. A name of another user is answered like one that nobody has.
 */
export function managerApi(app: FastifyInstance, { core, shutdown, logger }: ManagerApiOptions): void {
  const serve =
    (handle: (ask: Ask, request: FastifyRequest) => Promise<object>) =>
    (request: FastifyRequest, reply: FastifyReply): Promise<object> => {
      const gone = callerSignal(reply)
      const ask: Ask = (operation, input) => {
        const call = (signal: AbortSignal): Promise<object> => core.call(operation, input, { caller: request.caller, signal })
        return 'wait' in input ? untilClosing(gone, shutdown.waits, call) : call(gone)
      }
      return handle(ask, request)
    }
  app.register(async (scope) => {
    scope.setErrorHandler(fastapiHandler(logger))
    scope.post('/agents', { config: { creates: true } }, serve(create))
    scope.get('/agents', serve(list))
    scope.get('/agents/:agent_name', serve(details))
    scope.post('/agents/:agent_name/start', serve(start))
    scope.post('/agents/:agent_name/stop', serve(stop))
    scope.delete('/agents/:agent_name', serve(remove))
  })
}

async function create(ask: Ask, request: FastifyRequest): Promise<object> {
  const { username, ...definition } = readAgentConfig(request.body)
  const target = targetOf(username, definition.name)
  if (!mayName(request, username)) throw unknown(target)
  try {
    const { file } = (await ask('agents.create', { agent: { kind: 'team', owner: username, ...definition } })) as AgentDetail
    return { message: `Agent '${target.name}' created successfully for user '${username}'`, file }
  } catch (error) {
    if (codeOf(error) === 'ALREADY_EXISTS')
      throw new RegentError('BAD_REQUEST', `Agent '${target.name}' already exists for user '${username}'`, { cause: error })
    if (error instanceof RegentError && error.details.what === 'template')
      throw new RegentError('INTERNAL', 'Agent template file not found', { cause: error })
    throw error
  }
}

async function list(ask: Ask, request: FastifyRequest): Promise<object[]> {
  const { username } = request.query as { username?: unknown }
  const found = username === undefined || username === '' ? [] : nameComplaints(['query', 'username'], username, null)
  if (found.length > 0) throw refuse(found)
  const named = typeof username === 'string' && username !== '' ? username : undefined
  if (named !== undefined && !mayName(request, named)) throw new RegentError('NOT_FOUND', `User '${named}' not found`)
  const owner = named ?? (request.caller.role === 'admin' ? undefined : request.caller.user)
  const items: object[] = []
  let cursor: string | undefined
  do {
    const input = { limit: 500, ...(owner !== undefined && { owner }), ...(cursor !== undefined && { cursor }) }
    const page = (await ask('agents.list', input)) as Output<'agents.list'>
    items.push(...(await Promise.all(page.agents.filter((agent) => agent.kind === 'team').map(item))))
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  return items
}

/** The keys of both dialects that list at this path; the words of `status` are this one's, `state` has the neutral word. */
async function item(agent: AgentView): Promise<object> {
  return {
    agent: `${agent.owner}/${agent.name}`,
    file_exists: await exists(agent.file),
    is_active_in_background: alive.includes(agent.state),
    status: agent.state,
    pid: agent.pid,
    id: agent.id,
    name: agent.name,
    role: null,
    inbox_topic: `agent:${agent.name}`,
    status_endpoint: null,
    last_seen_at: agent.updated_at / 1000,
    state: agent.state,
  }
}

async function details(ask: Ask, request: FastifyRequest): Promise<object> {
  const { agent_name: name } = request.params as { agent_name: string }
  const { username } = request.query as { username?: unknown }
  if (username === undefined && fixedWords.includes(name)) throw new RegentError('NOT_YET', `GET /agents/${name} is not served yet`)
  const agent = username === undefined && isUuid(name) ? await byId(ask, name) : await find(ask, request, targetFrom(request))
  return { name: agent.name, username: agent.owner, status: agent.state, file: agent.file, exists: await exists(agent.file) }
}

async function start(ask: Ask, request: FastifyRequest): Promise<object> {
  const target = targetFrom(request)
  const { name, user } = target
  const noFile = (): RegentError => new RegentError('NOT_FOUND', `Agent file '${name}_agent.mjs' not found for user '${user}'`)
  const before = await find(ask, request, target, noFile)
  const running = before.state === 'RUNNING' || before.state === 'STARTING'
  let after: AgentView
  try {
    after = (await ask('agents.start', { agent: target.ref, wait: true })) as AgentView
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') throw noFile()
    throw failedStart(target, before.program, error)
  }
  if (after.state !== 'RUNNING' && after.state !== 'STARTING')
    throw failedStart(target, before.program, new RegentError('START_FAILED', after.reason))
  return {
    message: `Agent '${name}' started successfully for user '${user}'`,
    status: statusLine(before.program, after),
    start_output: `${before.program}: ${running ? 'ERROR (already started)' : 'started'}\n`,
  }
}

function failedStart({ name, user }: Target, program: string, error: unknown): unknown {
  if (!(error instanceof RegentError) || passedOn.has(error.code)) return error
  const whose = `agent '${name}' for user '${user}'`
  if (error.code !== 'START_FAILED' && error.code !== 'ILLEGAL_STATE')
    return new RegentError('INTERNAL', `Unexpected error starting ${whose}: ${error.message}`, { cause: error })
  const command = `Command 'supervisorctl start ${program}' returned non-zero exit status 7`
  return new RegentError(
    'START_FAILED',
    `Failed to start ${whose}: ${command}. Error: ${error.message}. Output: ${program}: ERROR (spawn error)`,
    {
      cause: error,
    },
  )
}

async function stop(ask: Ask, request: FastifyRequest): Promise<object> {
  const target = targetFrom(request)
  await find(ask, request, target)
  await stopping(target, async () => {
    const { survivors } = (await ask('agents.stop', { agent: target.ref, wait: true })) as Output<'agents.stop'>
    if (survivors.length > 0) throw new RegentError('INTERNAL', `still alive: pid ${survivors.join(', ')}`)
  })
  return { message: `Agent '${target.name}' stopped successfully for user '${target.user}'` }
}

async function remove(ask: Ask, request: FastifyRequest): Promise<object> {
  const target = targetFrom(request)
  await find(ask, request, target)
  await stopping(target, () => ask('agents.delete', { agent: target.ref, wait: true }))
  return { message: `Agent '${target.name}' deleted successfully for user '${target.user}'` }
}

async function stopping(target: Target, work: () => Promise<unknown>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof RegentError) || passedOn.has(error.code)) throw error
    if (error.code === 'NOT_FOUND') throw unknown(target)
    throw new RegentError('INTERNAL', `Failed to stop agent: ${error.message}`, { cause: error })
  }
}

/** Path and query as a target; throws what is wrong with them. */
function targetFrom(request: FastifyRequest): Target {
  const { agent_name: name } = request.params as { agent_name: string }
  const { username } = request.query as { username?: unknown }
  const found = [...nameComplaints(['path', 'agent_name'], name, null), ...nameComplaints(['query', 'username'], username, null)]
  if (found.length > 0) throw refuse(found)
  return targetOf(String(username), name)
}

const targetOf = (user: string, name: string): Target => ({ user, name, ref: `${user}/${name}` })
const unknown = ({ user, name }: Target): RegentError => new RegentError('NOT_FOUND', `Agent '${name}' not found for user '${user}'`)
const mayName = ({ caller }: FastifyRequest, user: string): boolean => caller.role === 'admin' || caller.user === user
const codeOf = (error: unknown): string | undefined => (error instanceof RegentError ? error.code : undefined)

async function find(ask: Ask, request: FastifyRequest, target: Target, missing = () => unknown(target)): Promise<AgentDetail> {
  if (!mayName(request, target.user)) throw missing()
  try {
    const agent = (await ask('agents.get', { agent: target.ref })) as AgentDetail
    if (agent.kind === 'team') return agent
  } catch (error) {
    if (codeOf(error) !== 'NOT_FOUND') throw error
  }
  throw missing()
}

async function byId(ask: Ask, id: string): Promise<AgentDetail> {
  try {
    return (await ask('agents.get', { agent: id })) as AgentDetail
  } catch (error) {
    if (codeOf(error) === 'NOT_FOUND') throw new RegentError('NOT_FOUND', `Agent '${id}' not found`, { cause: error })
    throw error
  }
}

async function exists(file: string | null): Promise<boolean> {
  if (file === null) return false
  try {
    await access(file)
    return true
  } catch {
    return false
  }
}
