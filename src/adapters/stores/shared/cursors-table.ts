import type { Cursors } from '../../../ports/store.ts'
import type { Database } from './schema.ts'
import { rowOf, send } from './statement.ts'

export class CursorsTable implements Cursors {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  /** 0 for one that was never set. */
  async get(name: string): Promise<number> {
    const row = await rowOf(this.#db, 'cursors.get', [name], (sql) => sql.selectFrom('cursors').select('value').where('name', '=', name))
    return row?.value ?? 0
  }

  async set(name: string, value: number): Promise<void> {
    await send(this.#db, 'cursors.set', [name, value, value], (sql) =>
      sql
        .insertInto('cursors')
        .values({ name, value })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ value })),
    )
  }

  async delete(name: string): Promise<void> {
    await this.#db.sql.deleteFrom('cursors').where('name', '=', name).execute()
  }
}
