import { RegentError } from '../../kernel/errors.ts'
import type { Cli } from './cli.ts'

/** Asks before something that cannot be undone. Where nobody can be asked, `-y` is required. */
export async function confirm(cli: Cli, question: string): Promise<boolean> {
  if (!cli.terminal.isInteractive)
    throw new RegentError('BAD_REQUEST', `${question} Nobody can be asked here`, { hint: 'add -y to say yes' })
  const { createInterface } = await import('node:readline/promises')
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  const closed = new Promise<string>((resolve) => lines.on('close', () => resolve('')))
  try {
    const answer = await Promise.race([lines.question(`${question} [y/N] `, { signal: cli.signal }), closed])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
