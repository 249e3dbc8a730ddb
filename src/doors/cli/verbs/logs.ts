import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { widest } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf } from '../output/format.ts'
import type { Colour } from '../output/terminal.ts'
import { cleanLines, timeOf } from '../output/text.ts'
import { about, resolveTargets, type Target } from '../targets.ts'

interface Options extends FormatOptions {
  follow?: boolean
  tail: number
  timestamps?: boolean
}

/** Each is a connection of its own. */
const MOST = 100

const colours: readonly Colour[] = ['cyan', 'magenta', 'green', 'yellow', 'blue']

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json'])
    .argument('<AGENT...>', 'names, owner/name, ids, globs, or all')
    .option('-f, --follow', 'go on with what is printed from now on')
    .option('-n, --tail <N>', 'only the last N lines', countOption, 100)
    .option('-t, --timestamps', 'when a line was printed, where that is known')
    .addHelpText('after', '\n-o json prints one object a line.')
    .action(async (words: string[], options: Options) => {
      const client = await cli.client()
      const targets = await resolveTargets(client, words)
      if (targets.length > MOST)
        throw new RegentError('BAD_REQUEST', `${targets.length} agents are too many to show at once`, { hint: `name at most ${MOST}` })
      const width = widest(targets.map(({ name }) => name))
      const settled = await Promise.allSettled(
        targets.map((target, index) => follow(cli, client, target, options, targets.length > 1 ? prefixOf(cli, target, width, index) : '')),
      )
      const failed = settled.find((one) => one.status === 'rejected')
      if (failed) throw failed.reason
    })
}

function prefixOf(cli: Cli, { name }: Target, width: number, index: number): string {
  return `${cli.terminal.paint(colours[index % colours.length] ?? 'cyan', name.padEnd(width))} | `
}

async function follow(cli: Cli, client: Client, target: Target, options: Options, prefix: string): Promise<void> {
  const { tail, follow: isFollowing = false, timestamps } = options
  const isJson = formatOf(options) === 'json'
  const { terminal, signal } = cli
  await about(client, target.ref, async () => {
    for await (const line of client.open('agents.logs', { agent: target.ref, tail, follow: isFollowing }, { signal })) {
      if (isJson) {
        terminal.out(JSON.stringify({ agent: target.name, ...line }))
        continue
      }
      const time = timestamps && line.at !== null ? `${terminal.paint('dim', timeOf(line.at))} ` : ''
      terminal.out(prefix + time + (terminal.outIsTerminal ? cleanLines(line.text) : line.text))
    }
  })
}
