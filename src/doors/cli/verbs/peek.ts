import type { Command } from 'commander'
import type { OutputItem } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { followAndTell, tellEnd } from '../workers/outcome.ts'
import { Transcript } from '../workers/said.ts'
import { headline, isOpen, shortId } from '../workers/views.ts'

interface Options extends FormatOptions {
  readonly follow?: boolean
  readonly turn?: number
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json'])
    .argument('<ID>', 'id or unique prefix of a worker')
    .option('-f, --follow', 'go on with it to its end')
    .option('--turn <N>', 'an earlier turn', countOption)
    .addHelpText('after', '\nNobody who waits for it misses its end by this. With -f, -o json prints one object a line.')
    .action(async (ref: string, options: Options) => {
      const format = formatOf(options)
      if (options.follow) return followAndTell(cli, ref, format, false)
      const client = await cli.client()
      const worker = await client.call('workers.get', { worker: ref }, { signal: cli.signal })
      const turn = options.turn === undefined ? {} : { turn: options.turn }
      const items: OutputItem[] = []
      const transcript = new Transcript(cli)
      for await (const item of client.open('workers.follow', { worker: worker.id, ...turn, follow: false }, { signal: cli.signal })) {
        if (format === 'json') items.push(item)
        else transcript.print(item)
      }
      if (format === 'json') return printValue(cli.terminal, 'json', { worker, output: items })
      if (options.turn !== undefined && options.turn !== worker.turn) return
      if (!isOpen(worker)) {
        transcript.result(worker.result)
        return tellEnd(cli, worker)
      }
      cli.note(headline(worker, cli.terminal.paintErr))
      cli.next(`regent peek -f ${shortId(worker.id)}`)
    })
}
