import type { Client } from '../../client/client.ts'
import { createClient } from '../../client/client.ts'
import { findServer } from '../../client/find-server.ts'
import type { Endpoint } from '../../client/http.ts'
import type { CliContext, Flags } from './context.ts'
import { createTerminal, type Terminal } from './output/terminal.ts'

/** What every verb works with. */
export interface Cli {
  readonly context: CliContext
  readonly terminal: Terminal
  /** Aborted by the first Ctrl-C; the second ends the process. Until somebody has asked for it, the first one does. */
  readonly signal: AbortSignal
  /** Options that every verb knows: home, project, url, token-file. */
  readonly flags: () => Flags
  readonly client: () => Promise<Client>
  /** Throws UNAVAILABLE where no server is found. */
  readonly endpoint: () => Promise<Endpoint>
  /** A token was named explicitly: the caller need not be the owner of home. */
  readonly hasOwnToken: () => boolean
  /** What to type next: on stderr, for people only. */
  next(...commands: string[]): void
  /** A remark beside the answer, on stderr. */
  note(text: string): void
  /** The exit code when nothing is thrown. */
  exitCode: number
}

export function createCli(context: CliContext, flags: () => Flags): Cli {
  const terminal = createTerminal(context.env)
  let interrupt: AbortController | undefined
  const endpoint = async (): Promise<Endpoint> => {
    const home = await context.locateHome(flags())
    return findServer({ home, url: flags().url || context.env.REGENT_URL, token: await tokenOf(context, flags()) })
  }
  return {
    context,
    terminal,
    get signal() {
      interrupt ??= interruptible()
      return interrupt.signal
    },
    flags,
    endpoint,
    client: async () => createClient({ ...(await endpoint()), relocate: () => endpoint().catch(() => undefined) }),
    hasOwnToken: () => Boolean(context.env.REGENT_TOKEN || flags()['token-file']),
    next(...commands) {
      if (terminal.isInteractive) terminal.err(terminal.paintErr('dim', commands.map((command) => `next: ${command}`).join('\n')))
    },
    note: (text) => terminal.err(text),
    exitCode: 0,
  }
}

function interruptible(): AbortController {
  const interrupt = new AbortController()
  process.once('SIGINT', () => {
    interrupt.abort(new DOMException('interrupted', 'AbortError'))
    process.once('SIGINT', () => process.exit(130))
  })
  return interrupt
}

async function tokenOf(context: CliContext, flags: Flags): Promise<string | undefined> {
  const file = flags['token-file']
  if (!file) return context.env.REGENT_TOKEN || undefined
  const { readTextFile } = await import('./read-input.ts')
  return (await readTextFile(file, context.cwd)).trim()
}
