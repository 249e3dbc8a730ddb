import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import type { GivenInput } from '../../../client/client.ts'
import type { RaceView } from '../../../contract/workers.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { EXIT, isInterrupt } from '../failure.ts'
import { collect, countOption, durationOption, withFormat } from '../options.ts'
import { type Format, type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { typedBy } from '../typed.ts'
import { type CrewOptions, namespaceOf, withNamespace } from '../workers/crew.ts'
import { followRace } from '../workers/follow-race.ts'
import { raceHeadline, resultLines } from '../workers/races.ts'
import { promptOf, specOf, splitWords, type TaskOptions, withTask } from '../workers/task.ts'
import { shortId } from '../workers/views.ts'

interface Options extends FormatOptions, CrewOptions, TaskOptions {
  readonly attempts?: number
  readonly agent?: string[]
  readonly model?: string[]
  readonly judge?: string
  readonly score?: string
  readonly judgeModel?: string
  readonly judgeAgent?: string
  readonly criteria?: string
  readonly judgeTimeout?: number
  readonly wait: boolean
}

type NewRace = GivenInput<'races.create'>['race']

export function configure(command: Command, cli: Cli): void {
  command
    .usage('[options] PROMPT [-- ARG...]')
    .argument('[PROMPT...]', 'the task; - reads it from stdin')
    .option('-n, --attempts <N>', 'how many try it; default 3, or one for each agent and model', countOption)
    .option('--agent <KIND>', 'a coding agent; several take turns', collect)
    .option('--model <MODEL>', 'a model; several take turns', collect)
    .option('--judge <COMMAND>', "a shell command in the folder of each, such as 'npm test': the first for which it exits 0 wins")
    .option('--score <COMMAND>', 'a shell command whose last line is a number: the highest wins')
    .option('--judge-model <MODEL>', 'a coding agent with this model reads all answers and names the best')
    .option('--judge-agent <KIND>', 'which coding agent that is; default claude')
    .option('--criteria <TEXT>', 'what it is to look at')
    .option('--judge-timeout <DURATION>', 'how long the command may take; default 10m', durationOption)
  withNamespace(withTask(withFormat(command, ['table', 'json', 'yaml', 'name'])))
    .option('--no-worktree', 'all in the folder itself; else each has a worktree where that is a git repository')
    .option('--no-wait', 'return once it has begun')
    .addHelpText(
      'after',
      '\nWithout a judge the first that completes wins.\n\nregent race -n 3 --worktree --judge \'npm test\' "Make the tests pass"',
    )
    .action(async (words: string[], options: Options) => {
      const format = formatOf(options)
      const race = await newRaceOf(cli, command, words, options)
      const client = await cli.client()
      const started = await client.call('races.create', { race }, { key: randomUUID(), signal: cli.signal })
      if (!options.wait) return tellStarted(cli, started, format)
      await tellEnd(cli, await followed(cli, started), format)
    })
}

async function newRaceOf(cli: Cli, command: Command, words: readonly string[], options: Options): Promise<NewRace> {
  const { prompt, behind } = splitWords(words, typedBy(command))
  const { agent: agents = [], model: models = [] } = options
  const isCommand = agents.includes('command')
  if (isCommand && behind.length === 0) throw new RegentError('BAD_REQUEST', 'the agent command needs a program behind --')
  const variants = variantsOf(agents, models)
  const judge = judgeOf(options)
  return {
    prompt: await promptOf(cli, prompt, options),
    n: options.attempts ?? Math.max(variants.length, variants.length > 1 ? 1 : 3),
    ...(variants.length > 0 && { variants }),
    ...(judge && { judge }),
    worker: { ...(await specOf(cli, options)), ...(behind.length > 0 && { [isCommand ? 'command' : 'args']: [...behind] }) },
    namespace: namespaceOf(cli, options),
  }
}

/** Every agent with every model. */
function variantsOf(agents: readonly string[], models: readonly string[]): NonNullable<NewRace['variants']> {
  if (agents.length === 0) return models.map((model) => ({ model }))
  return agents.flatMap((agent) => (models.length === 0 ? [{ agent }] : models.map((model) => ({ agent, model }))))
}

function judgeOf({ judge, score, judgeModel, judgeAgent, criteria, judgeTimeout }: Options): NewRace['judge'] {
  const isModel = judgeModel !== undefined || judgeAgent !== undefined || criteria !== undefined
  if ([judge !== undefined, score !== undefined, isModel].filter(Boolean).length > 1)
    throw new RegentError('BAD_REQUEST', 'one judge is enough: --judge, --score, or a coding agent')
  const timeout = judgeTimeout === undefined ? {} : { timeout: judgeTimeout / 1000 }
  if (judge !== undefined) return { by: 'command', command: judge, ...timeout }
  if (score !== undefined) return { by: 'score', command: score, ...timeout }
  if (!isModel) return undefined
  return {
    by: 'model',
    ...(judgeAgent !== undefined && { agent: judgeAgent }),
    ...(judgeModel !== undefined && { model: judgeModel }),
    ...(criteria !== undefined && { criteria }),
  }
}

async function followed(cli: Cli, race: RaceView): Promise<RaceView> {
  try {
    return await followRace(cli, race)
  } catch (error) {
    const id = shortId(race.id)
    if (isInterrupt(error)) cli.note(`race ${id} goes on; look with: regent races show ${id}, end it with: regent races cancel ${id}`)
    throw error
  }
}

async function tellStarted(cli: Cli, race: RaceView, format: Format): Promise<void> {
  if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, race)
  if (format === 'name') return cli.terminal.out(race.id)
  cli.terminal.out(raceHeadline(race, cli.terminal.paint))
  const id = shortId(race.id)
  cli.next(`regent races show ${id}`, `regent races cancel ${id}`)
}

async function tellEnd(cli: Cli, race: RaceView, format: Format): Promise<void> {
  if (race.state !== 'decided') cli.exitCode = EXIT.failed
  if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, race)
  if (format === 'name') return race.winner === null ? undefined : cli.terminal.out(race.winner.id)
  cli.note(raceHeadline(race, cli.terminal.paintErr))
  for (const line of resultLines(race, cli.terminal.paint)) cli.terminal.out(line)
  if (race.winner?.session_id) cli.next(`regent resume ${shortId(race.winner.id)} 'PROMPT'`)
}
