import { RegentError } from '../../../kernel/errors.ts'

export interface Program {
  readonly agentId: string
  readonly owner: string
  readonly name: string
  readonly argv: readonly string[]
  readonly directory: string
  readonly logFile: string
  readonly user: string
}

const mark = /^; agent ([0-9a-f-]{36})$/m

/** A program section as supervisord reads it: no value can start a line, a comment or an expansion of its own. */
export function supervisorIni({ agentId, owner, name, argv, directory, logFile, user }: Program): string {
  return [
    '; Written by Regent, which runs this agent itself; for those who read it as a supervisord program.',
    `; agent ${agentId}`,
    `[program:${owner}_${name}_agent]`,
    `command=${doubled(argv.map(quoteArgument).join(' '))}`,
    `directory=${iniValue(directory)}`,
    'autostart=false',
    'autorestart=true',
    `stdout_logfile=${iniValue(logFile)}`,
    'redirect_stderr=true',
    `user=${iniValue(user)}`,
    '',
  ].join('\n')
}

/** Whose the file is; undefined when it does not say. */
export function agentOfIni(text: string): string | undefined {
  return mark.exec(text)?.[1]
}

/** supervisord splits a command as a shell would. A blank before `;` or `#` would begin a comment, even inside quotes. */
function quoteArgument(argument: string): string {
  if (/^[A-Za-z0-9_@%+=:,./-]+$/.test(argument)) return argument
  refuseControls(argument)
  return `"${argument.replace(/["\\]/g, '\\$&').replace(/(?<=\s)[;#]/g, '""$&')}"`
}

/** A value that stands unquoted: what could not be kept as it is, is refused. */
function plain(value: string): string {
  refuseControls(value)
  if (/^\s|\s$|\s[;#]/.test(value)) throw unwritable(value)
  return value
}

/** A value that stands unquoted, with supervisord's expansions switched off. Throws INVALID. */
export const iniValue = (value: string): string => doubled(plain(value))

function refuseControls(value: string): void {
  for (const character of value) if (character < ' ' || character === '\x7f') throw unwritable(value)
}

const doubled = (value: string): string => value.replaceAll('%', '%%')

function unwritable(value: string): RegentError {
  return new RegentError('INVALID', `this path cannot stand in a supervisord file: ${JSON.stringify(value)}`, {
    hint: 'Name a project whose path has no control characters, and no ; or # after a blank.',
  })
}
