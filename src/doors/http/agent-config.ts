import { agentDetail } from '../../contract/agents.ts'
import { agentName, userName } from '../../contract/names.ts'
import { isObject } from '../../kernel/json.ts'
import { type Complaint, complaints, refuse } from './fastapi-errors.ts'

/** What the manager API's users post. */
export interface AgentConfig {
  readonly username: string
  readonly name: string
  readonly subagents: readonly SubAgentConfig[]
  readonly json_config: Readonly<Record<string, unknown>>
  readonly initial_task?: string | null
}

export interface SubAgentConfig {
  readonly name: string
  readonly instruction: string
  readonly servers?: readonly string[]
  readonly model?: string
}

const PATTERN = '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$'
const pattern = new RegExp(PATTERN)

/** Unknown keys are ignored, as ever; those that would pretend to be Regent's own record of an agent, or a right, are refused. */
const ownKeys: ReadonlySet<string> = new Set([
  ...Object.keys(agentDetail.shape).filter((key) => key !== 'name'),
  ...['status', 'is_admin', 'admin', 'role', 'roles', 'user', 'uid', 'gid', 'token'],
])

/** A body as a config, with only the keys it knows; throws all complaints at once, in the order of the fields. */
export function readAgentConfig(body: unknown): AgentConfig {
  if (body === undefined || body === null) throw refuse([complaints.missing(['body'], null)])
  if (!isObject(body)) throw refuse([complaints.notModel(['body'], body)])
  const found: Complaint[] = []
  const { username, name, subagents, json_config, initial_task } = body
  found.push(...nameComplaints(['body', 'username'], username, body), ...nameComplaints(['body', 'name'], name, body))
  if (subagents === undefined) found.push(complaints.missing(['body', 'subagents'], body))
  else if (!Array.isArray(subagents)) found.push(complaints.notList(['body', 'subagents'], subagents))
  else found.push(...subagents.flatMap((member, at) => memberComplaints(['body', 'subagents', at], member)))
  if (json_config === undefined) found.push(complaints.missing(['body', 'json_config'], body))
  else if (!isObject(json_config)) found.push(complaints.notObject(['body', 'json_config'], json_config))
  if (initial_task !== undefined && initial_task !== null && typeof initial_task !== 'string')
    found.push(complaints.notText(['body', 'initial_task'], initial_task))
  for (const key of Object.keys(body)) if (ownKeys.has(key)) found.push(complaints.forbidden(['body', key], body[key]))
  if (found.length > 0) throw refuse(found)
  return {
    username: String(username),
    name: String(name),
    subagents: (subagents as readonly Record<string, unknown>[]).map(memberOf),
    json_config: json_config as Record<string, unknown>,
    ...(initial_task !== undefined && { initial_task: initial_task as string | null }),
  }
}

/** Complaints about a user's or an agent's name at `loc`; the reserved words are an agent's own matter. */
export function nameComplaints(loc: Complaint['loc'], value: unknown, around: unknown): Complaint[] {
  if (value === undefined) return [complaints.missing(loc, around)]
  if (typeof value !== 'string') return [complaints.notText(loc, value)]
  if (!pattern.test(value)) return [complaints.mismatch(loc, value.slice(0, 300), PATTERN)]
  const checked = (loc.at(-1) === 'name' ? agentName : userName).safeParse(value)
  if (checked.success) return []
  return checked.error.issues.map(({ message }) => ({ type: 'value_error', loc, msg: `Value error, ${message}`, input: value }))
}

function memberComplaints(loc: Complaint['loc'], member: unknown): Complaint[] {
  if (!isObject(member)) return [complaints.notModel(loc, member)]
  const found: Complaint[] = []
  for (const key of ['name', 'instruction'])
    if (member[key] === undefined) found.push(complaints.missing([...loc, key], member))
    else if (typeof member[key] !== 'string') found.push(complaints.notText([...loc, key], member[key]))
  const { servers, model } = member
  if (Array.isArray(servers))
    servers.forEach((server, at) => {
      if (typeof server !== 'string') found.push(complaints.notText([...loc, 'servers', at], server))
    })
  else if (servers !== undefined) found.push(complaints.notList([...loc, 'servers'], servers))
  if (model !== undefined && typeof model !== 'string') found.push(complaints.notText([...loc, 'model'], model))
  return found
}

function memberOf({ name, instruction, servers, model }: Readonly<Record<string, unknown>>): SubAgentConfig {
  return {
    name: String(name),
    instruction: String(instruction),
    ...(servers !== undefined && { servers: servers as readonly string[] }),
    ...(model !== undefined && { model: String(model) }),
  }
}
