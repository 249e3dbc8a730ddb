import { createHash, timingSafeEqual } from 'node:crypto'
import type { Caller, TokenView } from '../../contract/tokens.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import { type Ids, newSecret } from '../../kernel/ids.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Store, TokenRow } from '../../ports/store.ts'
import type { Identity } from '../core.ts'
import type { Handlers } from '../handling.ts'
import type { Revocations } from './revocations.ts'

export interface TokenOptions {
  readonly store: Store
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  /** The admin's token of this home. */
  readonly adminToken: string
  /** Whom tokenless local callers and the admin's token stand for: the user that Regent runs as. */
  readonly localUser: string
  readonly revocations: Revocations
}

const TOUCH_MS = 60_000
const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

export function createIdentity({ store, clock, logger, adminToken, localUser, revocations }: TokenOptions): Identity {
  const admin = Buffer.from(hashOf(adminToken))
  /** For people to see; a store that takes nothing just now must not keep anybody out. */
  const touch = (id: string, now: number) =>
    store
      .transaction((tables) => tables.tokens.update(id, { lastUsedAt: now }))
      .catch((error: unknown) => logger.warn({ token: id, error: reasonOf(error) }, 'when a token was last used was not kept'))
  const localAdmin = (via: string): Caller => ({ user: localUser, role: 'admin', via })
  return {
    localAdmin,
    async byToken(token, via) {
      const hash = hashOf(token)
      if (timingSafeEqual(Buffer.from(hash), admin)) return localAdmin(via)
      const row = await store.read.tokens.findByHash(hash)
      if (!row || row.revokedAt !== null) return undefined
      const now = clock.now()
      if (now - (row.lastUsedAt ?? 0) > TOUCH_MS) await touch(row.id, now)
      return { user: row.user, role: row.role, via, revoked: revocations.of(row.id) }
    },
  }
}

export function tokenOperations({
  store,
  clock,
  ids,
  revocations,
}: TokenOptions): Handlers<'tokens.create' | 'tokens.list' | 'tokens.revoke'> {
  return {
    async 'tokens.create'({ user, role }, { accept, caller }) {
      const token = newSecret()
      const row: TokenRow = { id: ids.next(), hash: hashOf(token), user, role, createdAt: clock.now(), lastUsedAt: null, revokedAt: null }
      const id = await accept(async (tables) => {
        await tables.tokens.insert(row)
        await tables.events.append(event('token.created', row, caller, clock.now()))
        return row.id
      })
      if (id !== row.id)
        throw new RegentError('TOO_LATE', 'this command was carried out before, and a token is shown only once', {
          hint: 'revoke it and create another',
        })
      return { ...viewOf(row), token }
    },
    'tokens.list': async () => ({ tokens: (await store.read.tokens.list()).map(viewOf) }),
    async 'tokens.revoke'({ token }, { accept, caller }) {
      const ids = await accept(async (tables) => {
        const meant = matching(await tables.tokens.list(), token)
        for (const row of meant) {
          await tables.tokens.update(row.id, { revokedAt: clock.now() })
          await tables.events.append(event('token.revoked', row, caller, clock.now()))
        }
        return meant.map((row) => row.id)
      })
      for (const id of ids) revocations.revoke(id)
      const rows = await store.read.tokens.list()
      return { revoked: rows.filter((row) => ids.includes(row.id)).map(viewOf) }
    },
  }
}

function matching(rows: readonly TokenRow[], what: string): TokenRow[] {
  const live = rows.filter((row) => row.revokedAt === null)
  const byUser = live.filter((row) => row.user === what)
  const found = byUser.length > 0 ? byUser : live.filter((row) => row.id === what || (what.length >= 4 && row.id.startsWith(what)))
  if (found.length === 0)
    throw new RegentError('NOT_FOUND', `there is no live token or user '${what}'`, { hint: 'list them with: regent token list' })
  if (byUser.length === 0 && found.length > 1)
    throw new RegentError('AMBIGUOUS', `'${what}' begins the id of ${found.length} tokens`, { hint: 'give more of the id' })
  return found
}

const event = (type: 'token.created' | 'token.revoked', row: TokenRow, caller: Caller, at: number) => ({
  at,
  type,
  agentId: null,
  agent: null,
  owner: null,
  actor: caller.user,
  data: { id: row.id, user: row.user, role: row.role },
})

const viewOf = (row: TokenRow): TokenView => ({
  id: row.id,
  user: row.user,
  role: row.role,
  created_at: row.createdAt,
  last_used_at: row.lastUsedAt,
  revoked_at: row.revokedAt,
})
