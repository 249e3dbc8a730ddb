import type { Check } from '../../../contract/system.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import { type PostgresAddress, parsePostgresUrl } from './address.ts'
import { newClient } from './client.ts'
import { storeError } from './errors.ts'
import { versionOf } from './migrate.ts'
import { migrations } from './migrations.ts'

/** How a database is while no Regent uses it; changes nothing. */
export async function checkPostgres(url: string): Promise<Check> {
  const answer = (ok: boolean, message: string): Check => ({ name: 'store', ok, required: true, message })
  try {
    const address = parsePostgresUrl(url)
    return answer(true, `postgres at ${address.place}: ${await look(address)}`)
  } catch (error) {
    const hint = error instanceof RegentError && error.hint !== undefined ? `; ${error.hint}` : ''
    return answer(false, `${reasonOf(error)}${hint}`)
  }
}

async function look(address: PostgresAddress): Promise<string> {
  const { client, cut } = newClient(address, 'doctor')
  client.on('error', cut)
  try {
    await client.connect()
    const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version")
    const version = await versionOf(client, { address, migrations })
    const state = version === undefined ? 'no tables yet, the first start makes them' : `schema version ${version}`
    return `PostgreSQL ${rows[0]?.version ?? '?'}, ${state}`
  } catch (error) {
    throw storeError(error, address.place)
  } finally {
    await client.end().catch(cut)
  }
}
