import type { Caller } from '../../contract/tokens.ts'
import { RegentError } from '../../kernel/errors.ts'
import { isUuid } from '../../kernel/ids.ts'
import type { Tables } from '../../ports/store.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import { mayTouch } from '../agents/find.ts'

/** The worker that a caller means: by id, or a unique prefix of it. Another user's is not found, as if it did not exist. */
export async function findWorker(tables: Tables, ref: string, caller: Caller): Promise<WorkerRow> {
  const found = isUuid(ref) ? await tables.workers.get(ref.toLowerCase()) : await byPrefix(tables, ref, caller)
  if (!found || !mayTouch(caller, found.owner)) throw noWorker(ref)
  return found
}

export const noWorker = (ref: string): RegentError =>
  new RegentError('NOT_FOUND', `there is no worker '${ref}'`, { hint: 'list them with: regent workers -a', details: { what: 'worker' } })

/** Whose workers a caller means. */
export function ownerFor(owner: string | undefined, caller: Caller): string {
  if (owner === undefined || mayTouch(caller, owner)) return owner ?? caller.user
  throw new RegentError('NOT_FOUND', `there is no user '${owner}' whose workers you may see`, { details: { what: 'owner' } })
}

async function byPrefix(tables: Tables, ref: string, caller: Caller): Promise<WorkerRow | undefined> {
  if (ref.length < 4 || !/^[0-9a-f-]+$/i.test(ref)) return undefined
  const scope = caller.role === 'admin' ? {} : { owner: caller.user }
  const found = await tables.workers.list({ ...scope, idPrefix: ref.toLowerCase(), limit: 2 })
  if (found.length > 1) throw new RegentError('AMBIGUOUS', `'${ref}' begins the id of several workers`, { hint: 'give more of the id' })
  return found[0]
}
