import type { AgentDetail, NewAgent } from '../../contract/agents.ts'
import type { Input } from '../../contract/operations.ts'
import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, Tables } from '../../ports/store.ts'
import type { Handlers, Handling } from '../handling.ts'
import { checkDependencies } from '../supervision/dependencies.ts'
import { wantDependencies } from '../supervision/intents.ts'
import { tell } from '../supervision/situation.ts'
import { checkKnownAs } from './check-known-as.ts'
import { checkPolicy } from './check-policy.ts'
import { checkDefinition, definitionOf, fingerprint, patched, policyOf } from './definitions.ts'
import { findAgent, mayTouch, notFound } from './find.ts'
import { hide } from './hidden.ts'
import { type AgentsOptions, claimCursor } from './options.ts'
import { Turns } from './turns.ts'
import { detailOf, viewsOf } from './views.ts'

type Names = 'agents.create' | 'agents.apply' | 'agents.list' | 'agents.get' | 'agents.update'

export function agentOperations(options: AgentsOptions): Handlers<Names> {
  const turns = new Turns()
  const create = (agent: NewAgent, start: boolean, handling: Handling) => {
    const owner = ownerFor(agent, handling.caller)
    return turns.take(`${owner}/${agent.name}`, () => createAgent(options, { ...agent, owner }, start, handling))
  }
  const update = (row: AgentRow, change: Change, handling: Handling, ifRevision?: number) =>
    turns.take(`${row.owner}/${row.name}`, () => changeAgent(options, row.id, change, handling, ifRevision))
  return {
    'agents.create': ({ agent, start }, handling) => create(agent, start, handling),
    'agents.list': (input, handling) => listAgents(options, input, handling.caller),
    'agents.get': async ({ agent }, { caller }) => show(options, await findAgent(options.store.read, agent, caller)),
    async 'agents.update'({ agent, definition, policy, limits, if_revision }, handling) {
      const row = await findAgent(options.store.read, agent, handling.caller)
      const change: Change = (before) => ({
        definition: definition ? patched(before.definition, definition) : before.definition,
        policy: policyOf(before.kind, policy ?? {}, before.policy),
        limits: limits ?? before.limits,
      })
      return (await update(row, change, handling, if_revision)).detail
    },
    async 'agents.apply'({ agent }, handling) {
      const owner = ownerFor(agent, handling.caller)
      const row = await options.store.read.agents.find(owner, agent.name)
      if (!row) return { agent: await create({ ...agent, owner }, false, handling), outcome: 'created', notes: [] }
      if (row.kind !== agent.kind)
        throw new RegentError('ILLEGAL_STATE', `${owner}/${agent.name} is of kind ${row.kind}, not ${agent.kind}`, {
          hint: 'remove it first',
        })
      const policy = policyOf(agent.kind, agent.policy, options.defaults)
      const change = { definition: definitionOf(agent, handling.given), policy, limits: agent.limits }
      const { detail, changed } = await update(row, () => change, handling)
      return { agent: detail, outcome: changed ? 'changed' : 'unchanged', notes: changed ? detail.notes : [] }
    },
  }
}

function ownerFor(agent: Pick<NewAgent, 'owner'>, caller: Caller): string {
  const owner = agent.owner ?? caller.user
  if (!mayTouch(caller, owner)) throw notFound(owner)
  return owner
}

async function show(options: AgentsOptions, agent: AgentRow): Promise<AgentDetail> {
  const [view] = await viewsOf(options.store.read, [agent], options)
  if (!view) throw notFound(`${agent.owner}/${agent.name}`)
  return detailOf(agent, view, options)
}

async function createAgent(
  options: AgentsOptions,
  agent: NewAgent & { owner: string },
  start: boolean,
  handling: Handling,
): Promise<AgentDetail> {
  const { store, ids, clock, project, secrets, caps } = options
  const definition = checkDefinition(agent.kind, definitionOf(agent, handling.given))
  checkKnownAs(undefined, definition, handling.caller)
  const hidden = hide(definition)
  const at = clock.now()
  const row: AgentRow = {
    id: ids.next(),
    owner: agent.owner,
    name: agent.name,
    kind: agent.kind,
    runtime: 'process',
    node: options.node,
    epoch: 0,
    revision: 1,
    definition: hidden.definition,
    policy: policyOf(agent.kind, agent.policy, options.defaults),
    limits: agent.limits,
    file: null,
    deleting: false,
    createdAt: at,
    updatedAt: at,
  }
  checkPolicy(row.kind, row.policy, options.calendar)
  const taken = await store.read.agents.find(row.owner, row.name)
  const file = taken ? null : await writeFiles(options, row, hidden.secrets)
  const undo = async () => {
    if (taken) return
    await project.remove(row)
    await secrets.remove(row.id)
  }
  let accepted: { id: string }
  let needed: readonly string[] = []
  try {
    accepted = await handling.accept(async (tables) => {
      await refuseTooMany(tables, row.owner, handling.caller, caps.perUser)
      // Its files were not written, though whoever had the name may be gone by now.
      if (taken) throw nameTaken(row)
      await checkDependencies(tables, row)
      await insertAgent(tables, { ...row, file }, start, handling.caller.user)
      if (start) needed = await wantDependencies(tables, row, { actor: handling.caller.user, at }, options)
      return { id: row.id }
    })
  } catch (error) {
    await undo()
    throw error
  }
  if (accepted.id !== row.id) await undo()
  const stored = await store.read.agents.get(accepted.id)
  if (!stored) throw notFound(`${row.owner}/${row.name}`)
  options.claims.add(stored)
  options.changed(stored)
  for (const id of [stored.id, ...needed]) options.wake(id)
  return show(options, stored)
}

async function writeFiles({ project, secrets }: AgentsOptions, row: AgentRow, values: Record<string, string>): Promise<string | null> {
  if (Object.keys(values).length > 0) await secrets.put(row.id, values)
  try {
    return await project.write(row)
  } catch (error) {
    await secrets.remove(row.id)
    throw error
  }
}

async function refuseTooMany(tables: Tables, owner: string, caller: Caller, most: number): Promise<void> {
  if (caller.role === 'admin' || (await tables.agents.count(owner)) < most) return
  throw new RegentError('TOO_MANY', `${owner} has ${most} agents, which is the most for a user`, { hint: 'delete some, or ask the admin' })
}

const nameTaken = ({ owner, name }: AgentRow): RegentError =>
  new RegentError('ALREADY_EXISTS', `${owner} has an agent '${name}' already`, {
    hint: 'choose another name, or change it with apply',
    details: { what: 'agent' },
  })

async function insertAgent(tables: Tables, row: AgentRow, start: boolean, actor: string): Promise<void> {
  if (!(await tables.agents.insert(row))) throw nameTaken(row)
  const reason = start ? 'created, to be started' : 'created, never started'
  await tables.lives.insert({
    agentId: row.id,
    desired: start ? 'running' : 'stopped',
    start: start ? 1 : 0,
    state: 'STOPPED',
    reason,
    since: row.createdAt,
    runId: null,
    restarts: 0,
    deaths: 0,
    earlyDeaths: 0,
    retryAt: null,
    exitCode: null,
    exitSignal: null,
  })
  await tell(tables, row, 'agent.created', row.createdAt, actor, { kind: row.kind, revision: row.revision })
  if (start) await tell(tables, row, 'agent.start_requested', row.createdAt, actor, { start: 1 })
}

/** What an agent is to become, made from what it is when its turn has come. */
type Change = (before: AgentRow) => Pick<AgentRow, 'definition' | 'policy' | 'limits'>

async function changeAgent(
  options: AgentsOptions,
  id: string,
  change: Change,
  handling: Handling,
  ifRevision?: number,
): Promise<{ detail: AgentDetail; changed: boolean }> {
  const { store, clock, secrets } = options
  const before = await store.read.agents.get(id)
  if (!before || before.deleting) throw notFound(id)
  if (ifRevision !== undefined && ifRevision !== before.revision)
    throw new RegentError('STALE', `the definition has revision ${before.revision}, not ${ifRevision}`, {
      hint: 'read it again, then change it',
    })
  const given = change(before)
  checkKnownAs(before.definition, given.definition, handling.caller)
  checkPolicy(before.kind, given.policy, options.calendar)
  const kept = await secrets.get(id)
  const hidden = hide(checkDefinition(before.kind, given.definition), kept)
  const next = { definition: hidden.definition, policy: given.policy, limits: given.limits }
  const shown = { definition: before.definition, policy: before.policy, limits: before.limits }
  if (fingerprint([next, hidden.secrets]) === fingerprint([shown, kept])) {
    await options.project.restore(before)
    return { detail: await show(options, before), changed: false }
  }
  const after: AgentRow = { ...before, ...next, revision: before.revision + 1, updatedAt: clock.now() }
  const stored = await storeChange(options, { row: before, secrets: kept }, { row: after, secrets: hidden.secrets }, handling)
  options.claims.add(stored)
  options.changed(stored)
  options.wake(id)
  return { detail: await show(options, stored), changed: true }
}

interface Version {
  readonly row: AgentRow
  readonly secrets: Readonly<Record<string, string>>
}

/**
 * Files first, then the rows, so that a change that was cut off is made whole by making it again. What does not come to be stored,
 * a command that was carried out before included, leaves the files as they were.
 */
async function storeChange({ store, ids, project, secrets, claims }: AgentsOptions, before: Version, after: Version, handling: Handling) {
  const { id, revision, updatedAt, definition, policy, limits } = after.row
  const put = async ({ row, secrets: values }: Version) => {
    await secrets.put(id, values)
    await project.write(row)
  }
  const undo = async () => {
    const now = await store.read.agents.get(id)
    // Who is being deleted loses his files with the rest.
    if (now) return now.deleting ? undefined : put(before)
    await project.remove(before.row)
    await secrets.remove(id)
  }
  const mark = ids.next()
  let accepted: { change: string } | null
  try {
    await put(after)
    accepted = await handling.accept(async (tables) => {
      const now = await tables.agents.get(id)
      if (!now || now.deleting) throw notFound(id)
      await checkDependencies(tables, after.row)
      await tables.agents.update(id, { definition, policy, limits, revision, updatedAt })
      if (claims.moves(before.row, after.row)) await tables.cursors.set(claimCursor(id), updatedAt)
      await tell(tables, after.row, 'agent.updated', updatedAt, handling.caller.user, { revision })
      return { change: mark }
    })
  } catch (error) {
    await undo()
    throw error
  }
  if (accepted?.change === mark) return after.row
  await undo()
  return before.row
}

async function listAgents(options: AgentsOptions, { owner, limit, cursor }: Input<'agents.list'>, caller: Caller) {
  if (owner !== undefined && !mayTouch(caller, owner)) throw new RegentError('NOT_FOUND', `there is no user '${owner}'`)
  const scope = owner ?? (caller.role === 'admin' ? undefined : caller.user)
  const after = cursor === undefined ? undefined : readCursor(cursor)
  const rows = await options.store.read.agents.list({
    ...(scope !== undefined && { owner: scope }),
    ...(after && { after }),
    limit: limit + 1,
  })
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return { agents: await viewsOf(options.store.read, page, options), next_cursor: last ? writeCursor(last) : null }
}

const writeCursor = ({ owner, name }: { owner: string; name: string }): string => Buffer.from(`${owner}/${name}`).toString('base64url')

function readCursor(cursor: string): { owner: string; name: string } {
  const [owner, name] = Buffer.from(cursor, 'base64url').toString().split('/')
  if (!owner || !name)
    throw new RegentError('INVALID', 'cursor: is not one that Regent gave', {
      fields: [{ path: 'cursor', message: 'is not one that Regent gave' }],
    })
  return { owner, name }
}
