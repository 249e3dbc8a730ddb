import type { CommandRow, Commands } from '../../../ports/store.ts'
import { Codec } from './codec.ts'
import type { Database } from './schema.ts'
import { rowOf, send } from './statement.ts'

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
    const row = await rowOf(this.#db, 'commands.get', [caller, key], (sql) =>
      sql.selectFrom('commands').selectAll().where('caller', '=', caller).where('key', '=', key),
    )
    return row && codec.decode(row)
  }

  async insert(row: CommandRow): Promise<void> {
    const values = codec.encode(row)
    await send(this.#db, 'commands.insert', Object.values(values), (sql) => sql.insertInto('commands').values(values))
  }

  async prune(at: number): Promise<number> {
    const done = await this.#db.sql.deleteFrom('commands').where('at', '<', at).executeTakeFirst()
    return Number(done.numDeletedRows)
  }
}
