import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'

/** Where a database is and how it is spoken to. Holds the password: never to be logged. */
export interface PostgresAddress {
  /** A host's name, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  /** undefined: PGPASSWORD or the user's password file says it, or none is needed. */
  readonly password: string | undefined
  readonly database: string
  readonly schema: string
  readonly tls: Tls | undefined
  /** Host, port, database and schema: what may be told to anyone. */
  readonly place: string
}

export interface Tls {
  readonly rejectUnauthorized: boolean
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly checkServerIdentity?: () => undefined
}

const SCHEMA = 'regent'
const MODES = ['disable', 'require', 'verify-ca', 'verify-full']
const KNOWN = ['schema', 'search_path', 'host', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey']

/** Throws INVALID, without the URL's password, for what is no address of a database. */
export function parsePostgresUrl(text: string): PostgresAddress {
  // A socket's folder stands in `?host=`, so that the URL itself may have none.
  const url = URL.parse(text.replace(/^postgres(ql)?:\/\/(?=[/?]|$)/, 'postgres://localhost'))
  if (url === null || !/^postgres(ql)?:$/.test(url.protocol))
    throw wrong('the database URL is not one of PostgreSQL', 'Write postgres://USER:PASSWORD@HOST:5432/DATABASE.')
  for (const name of url.searchParams.keys())
    if (!KNOWN.includes(name)) throw wrong(`the database URL has an unknown parameter: ${name}`, `Known are ${KNOWN.join(', ')}.`)
  const host = url.searchParams.get('host') ?? (decoded(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost')
  const port = url.port === '' ? 5432 : Number(url.port)
  const user = decoded(url.username)
  const database = decoded(url.pathname.slice(1)) || user
  if (user === '' || database === '')
    throw wrong('the database URL names no user or no database', 'Write postgres://USER:PASSWORD@HOST:5432/DATABASE.')
  const schema = url.searchParams.get('schema') ?? url.searchParams.get('search_path')?.split(',')[0]?.trim() ?? SCHEMA
  if (!/^[A-Za-z_][A-Za-z0-9_$]{0,62}$/.test(schema) || /^pg_/i.test(schema))
    throw wrong(`this cannot be the name of a schema: ${schema}`, 'Use letters, digits and underscores.')
  return {
    ...{ host, port, user, database, schema },
    password: url.password === '' ? undefined : decoded(url.password),
    tls: tlsOf(url.searchParams),
    place: `${host.includes(':') ? `[${host}]` : host}:${port}/${database}, schema ${schema}`,
  }
}

/** As libpq has it: `require` hides what is said and trusts any server; `verify-ca` and `verify-full` check who answers. */
function tlsOf(parameters: URLSearchParams): Tls | undefined {
  const mode = parameters.get('sslmode') ?? 'disable'
  if (!MODES.includes(mode)) throw wrong(`the sslmode of the database URL is unknown: ${mode}`, `Use one of ${MODES.join(', ')}.`)
  if (mode === 'disable') return undefined
  const file = (name: string, as: 'ca' | 'cert' | 'key') => {
    const path = parameters.get(name)
    return path === null ? {} : { [as]: read(path, name) }
  }
  return {
    rejectUnauthorized: mode !== 'require',
    ...file('sslrootcert', 'ca'),
    ...file('sslcert', 'cert'),
    ...file('sslkey', 'key'),
    ...(mode === 'verify-ca' && { checkServerIdentity: () => undefined }),
  }
}

function read(path: string, name: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw wrong(`the ${name} of the database URL cannot be read: ${reasonOf(error)}`, 'Name a file that Regent may read.')
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('the database URL has a % that stands for no character', 'Write % as %25.')
  }
}

const wrong = (message: string, hint: string) => new RegentError('INVALID', message, { hint, fields: [{ path: 'database_url', message }] })

/** The key of an advisory lock: a 64-bit number as PostgreSQL takes it. */
export function lockKey(...names: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(names)).digest().readBigInt64BE().toString()
}

/** What the Regents of one schema call to each other. */
export const channelOf = ({ schema }: PostgresAddress): string => `regent_${createHash('sha256').update(schema).digest('hex').slice(0, 16)}`
