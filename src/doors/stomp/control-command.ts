import { RegentError } from '../../kernel/errors.ts'
import { checkJson, isObject, tryParse } from '../../kernel/json.ts'

/** What the testbed control queue carries (CONTRACT.md 4.2): commands as JSON texts, answers to where a command asks them. */

export const commandNames = ['ping', 'status', 'start_testbed', 'stop_testbed', 'restart'] as const
export type CommandName = (typeof commandNames)[number]

const MOST_BYTES = 64 * 1024
const PREFIXES = ['/queue/', '/topic/']
const MOST_QUOTED = 200

export interface ControlMessage {
  /** undefined: `problem` says why it is none. */
  readonly command: CommandName | undefined
  /** What it calls itself, known or not. */
  readonly named: string | null
  /** Where the answer goes; undefined where none is wanted, or none can be given. */
  readonly replyTo: string | undefined
  readonly problem: RegentError | undefined
}

/** Reads whatever came; never throws. `own`: destinations that are no place for answers, since their answers would be read as commands. */
export function readControlMessage(body: string, own: readonly string[]): ControlMessage {
  const nothing = { command: undefined, named: null, replyTo: undefined }
  const size = Buffer.byteLength(body)
  if (size > MOST_BYTES)
    return { ...nothing, problem: new RegentError('TOO_LARGE', `a command holds at most ${MOST_BYTES} bytes, this one has ${size}`) }
  const value = tryParse(body)
  if (!isObject(value)) return { ...nothing, problem: new RegentError('BAD_REQUEST', 'a command is a JSON object', { hint: HINT }) }
  const { command, reply_to: replyTo } = value
  const named = typeof command === 'string' ? command.slice(0, MOST_QUOTED).toWellFormed() : null
  const destination = problemOf(() => checkReplyTo(replyTo, own))
  const known = commandNames.find((one) => one === command)
  const problem = destination ?? problemOf(() => checkJson(value)) ?? (known === undefined ? unknownCommand(named) : undefined)
  return {
    command: problem ? undefined : known,
    named,
    replyTo: destination || typeof replyTo !== 'string' ? undefined : replyTo,
    problem,
  }
}

const HINT = `such as {"command":"ping","reply_to":"/queue/testbed.ann.reply"}`

const unknownCommand = (named: string | null) =>
  named === null
    ? new RegentError('BAD_REQUEST', 'the message has no command', { hint: HINT })
    : new RegentError('BAD_REQUEST', `the command '${named}' is not known`, { hint: `use one of ${commandNames.join(', ')}` })

/** A list of destinations, or options behind one, are refused: an answer goes to one place. */
function checkReplyTo(value: unknown, own: readonly string[]): void {
  if (value === undefined || value === null) return
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const quoted = text.slice(0, MOST_QUOTED).toWellFormed()
  if (typeof value !== 'string' || !PREFIXES.some((prefix) => value.startsWith(prefix) && value.length > prefix.length))
    throw new RegentError('INVALID', `destination must start with '/queue/' or '/topic/', got: '${quoted}'`, {
      hint: "Use '/queue/' for one consumer or '/topic/' for all.",
    })
  if (value.length > MOST_QUOTED || /[\p{Cc}\s,?*>]/u.test(value))
    throw new RegentError('INVALID', `reply_to names more than one place: '${quoted}'`)
  if (own.includes(value)) throw new RegentError('INVALID', `reply_to is the control queue itself: '${quoted}'`)
}

function problemOf(check: () => void): RegentError | undefined {
  try {
    check()
    return undefined
  } catch (error) {
    if (error instanceof RegentError) return error
    throw error
  }
}
