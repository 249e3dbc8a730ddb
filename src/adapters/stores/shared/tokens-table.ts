import type { TokenRow, Tokens } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { rowOf } from './statement.ts'

const codec = new Codec<TokenRow>({
  id: 'plain',
  hash: 'plain',
  user: 'plain',
  role: 'plain',
  createdAt: 'plain',
  lastUsedAt: 'plain',
  revokedAt: 'plain',
})

export class TokensTable implements Tokens {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async insert(row: TokenRow): Promise<void> {
    await this.#db.sql.insertInto('tokens').values(codec.encode(row)).execute()
  }

  async findByHash(hash: string): Promise<TokenRow | undefined> {
    const row = await rowOf(this.#db, 'tokens.findByHash', [hash], (sql) => sql.selectFrom('tokens').selectAll().where('hash', '=', hash))
    return row && codec.decode(row)
  }

  async get(id: string): Promise<TokenRow | undefined> {
    const row = await this.#db.sql.selectFrom('tokens').selectAll().where('id', '=', id).executeTakeFirst()
    return row && codec.decode(row)
  }

  async list(): Promise<TokenRow[]> {
    const rows = await this.#db.sql.selectFrom('tokens').selectAll().orderBy('created_at').orderBy('id').execute()
    return rows.map((row) => codec.decode(row))
  }

  async update(id: string, change: Partial<Pick<TokenRow, 'lastUsedAt' | 'revokedAt'>>): Promise<void> {
    const columns = codec.change(change)
    if (columns) await this.#db.sql.updateTable('tokens').set(columns).where('id', '=', id).execute()
  }
}
