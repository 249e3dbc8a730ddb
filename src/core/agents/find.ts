import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { AgentRow, Tables } from '../../ports/store.ts'

/** Whether a caller may see and touch what belongs to this owner. */
export const mayTouch = (caller: Caller, owner: string): boolean => caller.role === 'admin' || caller.user === owner

/**
 * The agent that a caller means. Another user's agent is not found, as if it did not exist.
 * Throws NOT_FOUND, or AMBIGUOUS with the candidates.
 */
export async function findAgent(tables: Tables, ref: string, caller: Caller): Promise<AgentRow> {
  const found = isUuid(ref) ? await tables.agents.get(ref.toLowerCase()) : await byName(tables, ref, caller)
  if (!found || !mayTouch(caller, found.owner)) throw notFound(ref)
  return found
}

export function notFound(ref: string): RegentError {
  return new RegentError('NOT_FOUND', `there is no agent '${ref}'`, { hint: 'list them with: regent ps', details: { what: 'agent' } })
}

async function byName(tables: Tables, ref: string, caller: Caller): Promise<AgentRow | undefined> {
  const slash = ref.indexOf('/')
  if (slash > 0) return tables.agents.find(ref.slice(0, slash), ref.slice(slash + 1))
  const own = await tables.agents.find(caller.user, ref)
  if (own) return own
  const scope = caller.role === 'admin' ? {} : { owner: caller.user }
  const named = await tables.agents.list({ ...scope, name: ref, limit: 10 })
  if (named.length > 0) return only(named, ref)
  return ref.length >= 4 && /^[0-9a-f-]+$/i.test(ref)
    ? only(await tables.agents.list({ ...scope, idPrefix: ref.toLowerCase(), limit: 10 }), ref)
    : undefined
}

function only(found: readonly AgentRow[], ref: string): AgentRow | undefined {
  if (found.length <= 1) return found[0]
  const names = found.map((agent) => `${agent.owner}/${agent.name}`).join(', ')
  throw new RegentError('AMBIGUOUS', `'${ref}' could be ${names}`, { hint: 'say owner/name' })
}
