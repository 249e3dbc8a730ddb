import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { durationOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf } from '../output/format.ts'
import { type OutcomeOptions, tellGiven } from '../workers/outcome.ts'
import { promptOf } from '../workers/task.ts'

interface Options extends FormatOptions, OutcomeOptions {
  readonly file?: string
  readonly timeout?: number
}

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<ID>', 'id or unique prefix of a worker that has ended')
    .argument('[PROMPT...]', 'what it is to do now; - reads it from stdin')
    .option('--file <FILE>', 'read the prompt from a file')
    .option('--timeout <DURATION>', 'how long each turn may take from now on; default as before', durationOption)
    .option('-f, --follow', 'show what it says and does, to its end')
    .option('--wait', 'wait for its end and print the result')
    .action(async (ref: string, words: string[], options: Options) => {
      const format = formatOf(options)
      const prompt = await promptOf(cli, words, options)
      const { timeout } = options
      const input = { worker: ref, prompt, ...(timeout !== undefined && { timeout: timeout / 1000 }) }
      const client = await cli.client()
      const worker = await client.call('workers.resume', input, { key: randomUUID(), signal: cli.signal })
      await tellGiven(cli, worker, format, options)
    })
}
