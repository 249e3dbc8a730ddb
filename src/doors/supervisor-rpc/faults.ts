import { RegentError } from '../../kernel/errors.ts'

/** supervisord's fault codes. */
export const faults = {
  UNKNOWN_METHOD: 1,
  INCORRECT_PARAMETERS: 2,
  BAD_ARGUMENTS: 3,
  SIGNATURE_UNSUPPORTED: 4,
  SHUTDOWN_STATE: 6,
  BAD_NAME: 10,
  BAD_SIGNAL: 11,
  NO_FILE: 20,
  NOT_EXECUTABLE: 21,
  FAILED: 30,
  ABNORMAL_TERMINATION: 40,
  SPAWN_ERROR: 50,
  ALREADY_STARTED: 60,
  NOT_RUNNING: 70,
  SUCCESS: 80,
  ALREADY_ADDED: 90,
  STILL_RUNNING: 91,
  CANT_REREAD: 92,
} as const
export type FaultName = keyof typeof faults

/** What this dialect answers instead of a value; its text is `NAME: words`, as supervisord's. */
export class Fault extends Error {
  readonly faultCode: number

  constructor(name: FaultName, words?: string) {
    super(words === undefined ? name : `${name}: ${words}`)
    this.name = 'Fault'
    this.faultCode = faults[name]
  }
}

/** The fault that an error of the core is told as. Anything else is thrown on: a bug. */
export function faultOf(error: unknown, closing: boolean): Fault {
  if (error instanceof Fault) return error
  if (!(error instanceof RegentError)) throw error
  const words = error.hint === undefined ? error.message : `${error.message}; ${error.hint}`
  return new Fault(nameOf(error, closing), words)
}

function nameOf(error: RegentError, closing: boolean): FaultName {
  switch (error.code) {
    case 'NOT_FOUND':
      return error.details.what === 'agent-file' ? 'NO_FILE' : 'BAD_NAME'
    case 'AMBIGUOUS':
      return 'BAD_NAME'
    case 'INVALID':
    case 'BAD_REQUEST':
      return 'INCORRECT_PARAMETERS'
    case 'START_FAILED':
      return error.details.state === 'EXITED' || error.details.state === 'STOPPED' ? 'ABNORMAL_TERMINATION' : 'SPAWN_ERROR'
    case 'UNAVAILABLE':
      return closing ? 'SHUTDOWN_STATE' : 'FAILED'
    default:
      return 'FAILED'
  }
}
