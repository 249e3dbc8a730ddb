import { RegentError } from '../../../kernel/errors.ts'

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/
/** Names that one shell or another gives a meaning of its own, or refuses to set. */
const shellsOwn =
  /^(_|PPID|E?UID|GROUPS|OPTIND|OPTERR|OPTARG|LINENO|S?RANDOM|SECONDS|EPOCH.*|HIST.*|DIRSTACK|FUNCNAME|PIPESTATUS|SHELLOPTS|BASH.*|COMP_.*)$/

export interface Handover {
  /** `text`: shell text that sets exactly these variables. `file`: JSON, for names that a shell cannot carry. */
  readonly form: 'text' | 'file'
  readonly content: string
}

/** How the wrapper gets the agent's environment: by an open file, so that no value is seen in arguments or stays on disk. */
export function handoverOf(env: Readonly<Record<string, string>>): Handover {
  const entries = Object.entries(env)
  for (const [name, value] of entries)
    if (name === '' || name.includes('=') || name.includes('\0') || value.includes('\0'))
      throw new RegentError('INVALID', 'the environment holds a name or value that no process can have', {
        fields: [{ path: `env.${name.replaceAll('\0', '\\0')}`, message: 'must not be empty, hold = in its name, or NUL' }],
      })
  if (entries.some(([name]) => !identifier.test(name) || shellsOwn.test(name))) return { form: 'file', content: JSON.stringify(env) }
  return { form: 'text', content: entries.map(([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'\n`).join('') }
}
