import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { cleanLines } from '../output/text.ts'

interface Options extends FormatOptions {
  readonly turn?: number
  readonly stderr?: boolean
  readonly document?: boolean
}

export function configureOutput(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml'])
    .argument('<ID>', 'id or unique prefix')
    .option('--turn <N>', 'of this turn; default the last', countOption)
    .option('--stderr', 'what it printed on stderr')
    .option('--document', 'only the result document of its CLI; once it has ended')
    .addHelpText('after', '\nAs it was printed, also while it runs. `regent peek` reads it for you.')
    .action(async (worker: string, options: Options) => {
      const format = formatOf(options)
      const client = await cli.client()
      if (options.document) {
        const document = await client.call('workers.document', { worker }, { signal: cli.signal })
        if (format !== 'table') return printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', document)
        return write(cli, options.stderr ? document.stderr : document.stdout)
      }
      const stream = options.stderr ? 'stderr' : 'stdout'
      let all = ''
      for (let from = 0, isOver = false; !isOver; ) {
        const asked = { worker, stream, from, limit: 1_000_000, ...(options.turn !== undefined && { turn: options.turn }) } as const
        const page = await client.call('workers.output', asked, { signal: cli.signal })
        if (format === 'table') write(cli, page.text)
        else all += page.text
        isOver = !page.more || page.next === from
        from = page.next
      }
      if (format !== 'table') await printValue(cli.terminal, format === 'yaml' ? 'yaml' : 'json', { worker, stream, text: all })
    })
}

function write(cli: Cli, text: string): void {
  const shown = text.replace(/\n$/, '')
  if (text !== '') cli.terminal.out(cli.terminal.outIsTerminal ? cleanLines(shown) : shown)
}
