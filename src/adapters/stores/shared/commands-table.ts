import type { CommandRow, Commands } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'

const codec = new Codec<CommandRow>({
  caller: 'plain',
  key: 'plain',
  operation: 'plain',
  inputHash: 'plain',
  answer: 'json',
  at: 'plain',
})

export class CommandsTable implements Commands {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async get(caller: string, key: string): Promise<CommandRow | undefined> {
    const query = this.#db.sql.selectFrom('commands').selectAll().where('caller', '=', caller).where('key', '=', key)
    const row = await query.executeTakeFirst()
    return row && codec.decode(row)
  }

  async insert(row: CommandRow): Promise<void> {
    await this.#db.sql.insertInto('commands').values(codec.encode(row)).execute()
  }

  async prune(at: number): Promise<number> {
    const done = await this.#db.sql.deleteFrom('commands').where('at', '<', at).executeTakeFirst()
    return Number(done.numDeletedRows)
  }
}
