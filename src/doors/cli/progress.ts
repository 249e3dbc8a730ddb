import type { Cli } from './cli.ts'

/** Shows a spinner on stderr when the work takes over a second and somebody watches. */
export async function withProgress<T>(cli: Cli, what: string, work: Promise<T>): Promise<T> {
  if (!cli.terminal.isInteractive || !process.stderr.columns) return work // A terminal of no known width cannot be redrawn.
  let spinner: { stop(): unknown } | undefined
  let isOver = false
  const timer = setTimeout(async () => {
    const { default: ora } = await import('ora')
    if (!isOver) spinner = ora({ text: what, stream: process.stderr, discardStdin: false }).start()
  }, 1000)
  try {
    return await work
  } finally {
    isOver = true
    clearTimeout(timer)
    spinner?.stop()
  }
}
