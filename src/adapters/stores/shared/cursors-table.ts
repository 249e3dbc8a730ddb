import type { Cursors } from '../../../ports/store.ts'
import type { Database } from './schema.ts'

export class CursorsTable implements Cursors {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** 0 for one that was never set. */
  async get(name: string): Promise<number> {
    const row = await this.#db.sql.selectFrom('cursors').select('value').where('name', '=', name).executeTakeFirst()
    return row?.value ?? 0
  }

  async set(name: string, value: number): Promise<void> {
    await this.#db.sql
      .insertInto('cursors')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute()
  }

  async delete(name: string): Promise<void> {
    await this.#db.sql.deleteFrom('cursors').where('name', '=', name).execute()
  }
}
