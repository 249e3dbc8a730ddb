import { Command, CommanderError } from 'commander'
import { type Cli, createCli } from './cli.ts'
import type { CliContext, Flags } from './context.ts'
import { EXIT, exitCodeOf, failureText, isInterrupt } from './failure.ts'
import { type Verb, verbOf, verbs } from './verbs.ts'
import { verbIndex } from './word.ts'

const statusWords = new Set(['ps', 'ls', 'list', 'status', 'show', 'describe'])

/** Runs one command of `regent`; the answer is its exit code. Loads the module of that one verb only. */
export async function runCli(argv: readonly string[], context: CliContext): Promise<number> {
  const program = createProgram()
  const cli = createCli(context, () => flagsOf(program))
  const word = argv[verbIndex(argv)]
  const verb = word === 'help' ? undefined : verbOf(word ?? '')
  try {
    for (const one of verbs) await addVerb(program, one, one === verb || word === 'complete', cli)
    if (word === 'complete') {
      await (await import('./complete.ts')).complete(program, argv.slice(argv.indexOf('--') + 1), cli)
      return 0
    }
    if (word === 'help') return await help(program, argv[argv.indexOf('help') + 1], cli)
    if (word === undefined && !argv.some((arg) => /^(-h|--help|-V|--version)$/.test(arg))) {
      program.outputHelp()
      return argv.length === 0 ? 0 : EXIT.usage
    }
    if (argv.some((arg) => /^(-V|--version)$/.test(arg)) && word === undefined) cli.terminal.out(await context.version())
    else await program.parseAsync(argv, { from: 'user' })
    return cli.signal.aborted ? EXIT.interrupted : cli.exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage
    if (!isInterrupt(error)) cli.terminal.err(failureText(error, cli.terminal.paintErr))
    return exitCodeOf(error, statusWords.has(word ?? ''))
  }
}

function createProgram(): Command {
  return new Command('regent')
    .description('Starts, supervises, connects and watches AI agents.')
    .usage('COMMAND [options]')
    .option('--home <DIR>', 'data folder of the Regent to use')
    .option('--project <DIR>', 'folder of regent.toml; default the working directory')
    .option('--url <URL>', 'address of a Regent elsewhere (REGENT_URL)')
    .option('--token-file <FILE>', 'file with the token for it (or REGENT_TOKEN)')
    .option('-V, --version', 'show the version')
    .helpCommand('help [COMMAND]', 'help for a command')
    .exitOverride()
    .showHelpAfterError('`regent help` lists the commands')
    .addHelpText(
      'after',
      '\n`regent COMMAND --help` tells more. First steps: `regent serve`, then `regent run web -- python3 -m http.server`.',
    )
}

async function addVerb(program: Command, verb: Verb, isUsed: boolean, cli: Cli): Promise<void> {
  const command = program.command(verb.name).description(verb.summary).helpGroup(verb.group)
  if (verb.aliases) command.aliases([...verb.aliases])
  if (isUsed) await (await verb.load()).configure(command, cli)
  pointToHelp(command, `regent ${verb.name}`)
}

/** What a wrong word or option is answered with, below the complaint. */
function pointToHelp(command: Command, words: string): void {
  command.showHelpAfterError(`\`${words} --help\` shows how it is used`)
  for (const inner of command.commands) pointToHelp(inner, `${words} ${inner.name()}`)
}

/** `regent help COMMAND`: its module must be loaded first. */
async function help(program: Command, topic: string | undefined, cli: Cli): Promise<number> {
  const verb = verbOf(topic ?? '')
  const command = program.commands.find((one) => one.name() === verb?.name)
  if (topic === undefined || topic.startsWith('-')) program.outputHelp()
  else if (verb && command) {
    await (await verb.load()).configure(command, cli)
    command.outputHelp()
  } else await program.parseAsync([topic], { from: 'user' })
  return 0
}

function flagsOf(program: Command): Flags {
  const { home, project, url, tokenFile } = program.opts<Record<string, string | undefined>>()
  return { home, project, url, 'token-file': tokenFile }
}
