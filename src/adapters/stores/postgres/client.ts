import { Socket } from 'node:net'
import { hostname } from 'node:os'
import pg from 'pg'
import type { PostgresAddress } from './address.ts'

/** How long a connection may take to come about, in ms. */
const CONNECT_MS = 5000
/** How long the server works on one statement, and how long its answer is waited for: it may be frozen, or the way to it cut. */
const STATEMENT_MS = 8000
const ANSWER_MS = 10_000
/** A Regent that is frozen in a transaction loses it, so that the others go on. */
const IDLE_IN_TRANSACTION_MS = 20_000
const LOCK_MS = 4000

export interface Statement {
  readonly name?: string
  readonly text: string
  readonly values?: unknown[]
}

/** Numbers as numbers: bigint comes as text. What a number cannot hold exactly is an error, never another number. */
const types = {
  getTypeParser: ((oid: number) => parsers[oid] ?? String) as pg.CustomTypesConfig['getTypeParser'],
}
const parsers: Readonly<Record<number, (text: string) => unknown>> = {
  16: (text) => text === 't',
  20: integer,
  21: integer,
  23: integer,
  700: Number,
  701: Number,
  1700: Number,
}

function integer(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`the database holds a number that is too large: ${text}`)
  return value
}

export function clientConfig({ host, port, user, password, database, tls }: PostgresAddress, role: string): pg.ClientConfig {
  return {
    ...{ host, port, user, database },
    ...(password !== undefined && { password }),
    ssl: tls ?? false,
    types,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: ANSWER_MS,
    application_name: `regent ${role} ${process.pid}@${hostname()}`.slice(0, 63),
  }
}

/** Said on every connection before anything else. Not in its startup message, which poolers refuse. */
export function setUp({ schema }: PostgresAddress): string {
  return [
    `set search_path to "${schema}"`,
    `set statement_timeout to ${STATEMENT_MS}`,
    `set lock_timeout to ${LOCK_MS}`,
    `set idle_in_transaction_session_timeout to ${IDLE_IN_TRANSACTION_MS}`,
    "set default_transaction_isolation to 'read committed'",
    'set client_min_messages to warning',
    // A server that its client left without a word gives its locks up within half a minute.
    'set tcp_keepalives_idle to 10',
    'set tcp_keepalives_interval to 5',
    'set tcp_keepalives_count to 3',
  ].join('; ')
}

/** One connection beside the pool, and the means to cut it. */
export function newClient(address: PostgresAddress, role: string, options: pg.ClientConfig = {}): { client: pg.Client; cut: () => void } {
  const socket = new Socket()
  const client = new pg.Client({ ...clientConfig(address, role), stream: () => socket, ...options })
  return { client, cut: () => void socket.destroy() }
}

/** Texts get names, so that each connection has the server parse them once. */
export class Names {
  readonly #names = new Map<string, string>()

  statement(text: string, values: readonly unknown[]): Statement {
    if (values.length === 0) return { text }
    let name = this.#names.get(text)
    if (name === undefined) {
      name = `s${this.#names.size}`
      this.#names.set(text, name)
    }
    return { name, text, values: values.map(sendable) }
  }
}

/** PostgreSQL's text holds no NUL. */
function sendable(value: unknown): unknown {
  return typeof value === 'string' && value.includes('\0') ? value.replaceAll('\0', '\u{FFFD}') : value
}
