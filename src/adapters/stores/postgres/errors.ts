import { RegentError, reasonOf, systemCode } from '../../../kernel/errors.ts'

/** Of an error after which the connection is of no use, or was never there. */
const CONNECTION = 'connection'
/** Of an error that another holder of a lock causes. */
const LOCK = 'lock'

/** SQLSTATE: five characters, the first two of which are its class. */
function sqlState(error: unknown): string | undefined {
  const code = systemCode(error)
  return code !== undefined && /^[0-9A-Z]{5}$/.test(code) && 'severity' in (error as object) ? code : undefined
}

/** Whether the server itself refused the statement, and nothing else happened. */
export const isRefusal = (error: unknown): boolean => {
  const cause = error instanceof RegentError ? error.cause : error
  return sqlState(cause) !== undefined && (cause as { severity?: unknown }).severity === 'ERROR'
}

export const isLost = (error: unknown): boolean => error instanceof RegentError && error.details.what === CONNECTION

/** Whether the same may work in a moment: no connection, or another Regent that commits. */
export const isPassing = (error: unknown): boolean => isLost(error) || (error instanceof RegentError && error.details.what === LOCK)

/** What PostgreSQL or the way to it threw, in Regent's words. Tells neither values nor passwords. */
export function storeError(error: unknown, place: string): RegentError {
  if (error instanceof RegentError) return error
  const state = sqlState(error)
  if (state === undefined) return connectionError(error, place)
  return known(state, error, place) ?? byClass(state, error, place)
}

function known(state: string, error: unknown, place: string): RegentError | undefined {
  switch (state) {
    case '23503':
      return new RegentError('NOT_FOUND', 'the agent of this row is gone', { details: { what: 'agent' }, cause: error })
    case '23505':
      return new RegentError('ALREADY_EXISTS', 'a row with this key is already stored', { cause: error })
    case '25006':
      return lost(
        `the database takes no writes now: ${place}`,
        error,
        'A standby answers, or the server was made read-only; Regent tries again.',
      )
    case '53100':
      return new RegentError('NO_SPACE', `no space is left for the database: ${place}`, {
        hint: "Free some space on the database's server; Regent goes on by itself.",
        retryAfter: 10,
        cause: error,
      })
    case '53300':
      return lost(`the database has no connection left: ${place}`, error, 'Raise max_connections, or end other programs; Regent needs 9.')
    case '55P03':
      return new RegentError('UNAVAILABLE', `the database is locked by another program: ${place}`, {
        hint: 'pg_locks shows which.',
        retryAfter: 5,
        details: { what: LOCK },
        cause: error,
      })
    case '57014':
      return new RegentError('TIMED_OUT', `the database took too long: ${place}`, { retryAfter: 5, cause: error })
    case '42501':
    case '3F000':
      return new RegentError('UNAVAILABLE', `the database's user may not do this: ${reasonOf(error)}`, {
        hint: 'It needs a schema of its own: CREATE SCHEMA regent AUTHORIZATION the user, or CREATE on the database.',
        cause: error,
      })
    case '3D000':
      return cannotUse(error, place, 'Create it: createdb DATABASE.')
    default:
      return undefined
  }
}

function byClass(state: string, error: unknown, place: string): RegentError {
  switch (state.slice(0, 2)) {
    case '08':
    case '57':
      return lost(`the database is not there: ${place}: ${reasonOf(error)}`, error)
    case '28':
      return cannotUse(error, place, 'See the user and the password of REGENT_DATABASE_URL, and pg_hba.conf.')
    case '40':
      return new RegentError('UNAVAILABLE', `the change came in between others: ${reasonOf(error)}`, { retryAfter: 1, cause: error })
    case '53':
    case '58':
      return cannotUse(error, place, "See the server's log.")
    case '54':
      return new RegentError('TOO_LARGE', 'a value is too large to be stored', { cause: error })
    case '23':
      return new RegentError('INTERNAL', `a row breaks a rule of its table: ${reasonOf(error)}`, { cause: error })
    case 'XX':
      return cannotUse(
        error,
        place,
        'The server calls its own data wrong: see its log before you go on, and restore a backup if it is damaged.',
      )
    default:
      return new RegentError('INTERNAL', `the store failed: ${reasonOf(error)}`, { cause: error })
  }
}

function connectionError(error: unknown, place: string): RegentError {
  const words = reasonOf(error)
  if (words === 'Query read timeout')
    return new RegentError('TIMED_OUT', `the database does not answer: ${place}`, {
      retryAfter: 5,
      details: { what: CONNECTION },
      cause: error,
    })
  if (/pool after calling end|pool is ending|destroyed/.test(words))
    return new RegentError('UNAVAILABLE', 'the store is closed', { cause: error })
  const { code } = error as { code?: unknown }
  const isOwn = error instanceof TypeError || error instanceof RangeError || (typeof code === 'string' && code.startsWith('ERR_INVALID'))
  if (isOwn) return new RegentError('INTERNAL', `the store failed: ${words}`, { cause: error })
  if (/SSL|certificate|self.signed|Hostname/i.test(words))
    return cannotUse(error, place, 'See the sslmode of REGENT_DATABASE_URL: disable, require, verify-ca or verify-full.')
  return lost(`the database cannot be reached: ${place}: ${words}`, error)
}

export function lost(
  message: string,
  cause: unknown,
  hint = 'See that it runs, and the host and port of REGENT_DATABASE_URL; a Regent that runs goes on by itself.',
): RegentError {
  return new RegentError('UNAVAILABLE', message, { hint, retryAfter: 5, details: { what: CONNECTION }, cause })
}

function cannotUse(cause: unknown, place: string, hint: string): RegentError {
  return new RegentError('UNAVAILABLE', `the database cannot be used: ${place}: ${reasonOf(cause)}`, { hint, retryAfter: 5, cause })
}
