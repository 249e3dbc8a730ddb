import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { withFormat } from '../options.ts'
import { type FormatOptions, formatOf } from '../output/format.ts'
import { typedBy } from '../typed.ts'
import { type CrewOptions, namespaceOf, withNamespace } from './crew.ts'
import { type OutcomeOptions, tellGiven } from './outcome.ts'
import { promptOf, specOf, splitWords, type TaskOptions, type Words, withTask } from './task.ts'

interface Options extends FormatOptions, CrewOptions, OutcomeOptions, TaskOptions {
  readonly agent: string
  readonly model?: string
  readonly queue?: boolean
}

export function configureRun(command: Command, cli: Cli): void {
  command
    .usage('[options] PROMPT [-- ARG...]')
    .argument('[PROMPT...]', 'the task; - reads it from stdin')
    .option('-f, --follow', 'show what it says and does, to its end')
    .option('--wait', 'wait for its end and print the result')
    .option('--agent <KIND>', 'which coding agent; command: any program, behind --', 'claude')
    .option('--model <MODEL>', 'which model it uses')
  withNamespace(withTask(withFormat(command, ['table', 'json', 'yaml', 'name'])))
    .option('--queue', 'wait for a place (the default)')
    .option('--no-queue', 'be refused where too many are active')
    .addHelpText(
      'after',
      `
What stands behind -- are more arguments for its CLI or, with --agent command, the program and its arguments: {prompt} in
one of them stands for the prompt, which is else the last one.

regent worker run --worktree --budget 2usd -f 'Make the tests pass'
regent worker run --agent command 'Tidy up' -- sh -c 'echo "$1"' tidy {prompt}`,
    )
    .action(async (words: string[], options: Options) => {
      const format = formatOf(options)
      const worker = await newWorkerOf(cli, splitWords(words, typedBy(command)), options)
      const client = await cli.client()
      const created = await client.call('workers.create', { worker }, { key: randomUUID(), signal: cli.signal })
      await tellGiven(cli, created, format, options)
    })
}

async function newWorkerOf(cli: Cli, { prompt, behind }: Words, options: Options) {
  const { agent, model, queue } = options
  const isCommand = agent === 'command'
  if (isCommand && behind.length === 0)
    throw new RegentError('BAD_REQUEST', 'the agent command needs a program', {
      hint: "regent worker run --agent command 'PROMPT' -- PROGRAM ARG…",
    })
  const template = isCommand ? { command: [...behind] } : behind.length > 0 ? { args: [...behind] } : {}
  return {
    ...(await specOf(cli, options)),
    prompt: await promptOf(cli, prompt, options),
    agent,
    ...template,
    ...(model !== undefined && { model }),
    ...(queue === false && { queue }),
    namespace: namespaceOf(cli, options),
  }
}
