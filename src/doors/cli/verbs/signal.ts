import { type Command, Option } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { Input } from '../../../contract/operations.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import { EXIT, exitCodeOf, failureText, isInterrupt } from '../failure.ts'
import { plural } from '../output/text.ts'
import { inParallel } from '../parallel.ts'
import { about, resolveTargets, type Target } from '../targets.ts'

type Signal = Input<'agents.signal'>['signal']

const signals: readonly Signal[] = ['HUP', 'INT', 'QUIT', 'USR1', 'USR2', 'TERM', 'KILL', 'STOP', 'CONT', 'WINCH']

export function configureSignal(command: Command, cli: Cli): void {
  command
    .argument('<SIGNAL>', signals.join(', '))
    .argument('<AGENT...>', 'names, owner/name, ids, globs, or all')
    .option('--owner <USER>', 'with all or a glob: only agents of this user')
    .addHelpText('after', '\nThe main process gets it. What is wanted of the agent stays: one that dies of it is restarted by its policy.')
    .action(async (word: string, words: string[], { owner }: { owner?: string }) => {
      const signal = signalOf(word)
      const client = await cli.client()
      await forEach(cli, client, await resolveTargets(client, words, owner), async ({ ref, name }) => {
        const { pid } = await client.call('agents.signal', { agent: ref, signal }, { signal: cli.signal })
        return `${name}  SIG${signal} sent${pid === null ? '' : ` to ${pid}`}`
      })
    })
}

export function configureClearLogs(command: Command, cli: Cli): void {
  command
    .argument('<AGENT...>', 'names, owner/name, ids, globs, or all')
    .option('--owner <USER>', 'with all or a glob: only agents of this user')
    .addOption(new Option('-y, --yes', 'do not ask before the output of several is forgotten'))
    .action(async (words: string[], { owner, yes }: { owner?: string; yes?: boolean }) => {
      const client = await cli.client()
      const targets = await resolveTargets(client, words, owner)
      const isSweeping = targets.length > 1 || words.includes('all')
      if (isSweeping && !yes && !(await confirm(cli, `Forget what ${plural(targets.length, 'agent')} printed?`))) {
        cli.note('nothing was forgotten')
        cli.exitCode = EXIT.failed
        return
      }
      await forEach(cli, client, targets, async ({ ref, name }) => {
        await client.call('agents.clear_logs', { agent: ref }, { signal: cli.signal })
        return `${name}  logs cleared`
      })
    })
}

/** `HUP`, `SIGHUP`, `hup` and `1` are one. */
function signalOf(word: string): Signal {
  const numbers: Readonly<Record<string, Signal>> = { 1: 'HUP', 2: 'INT', 3: 'QUIT', 9: 'KILL', 15: 'TERM' }
  const name = word.toUpperCase().replace(/^SIG/, '')
  const found = signals.find((signal) => signal === name) ?? numbers[word]
  if (found) return found
  throw new RegentError('BAD_REQUEST', `there is no signal ${word} to send`, { hint: `there are: ${signals.join(', ')}` })
}

/** Side by side; a failure of one does not hinder the others, and the first decides the exit code. */
async function forEach(cli: Cli, client: Client, targets: readonly Target[], work: (target: Target) => Promise<string>): Promise<void> {
  const settled = await inParallel(targets, (target) => about(client, target.ref, () => work(target)))
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  for (const one of settled) if (one.status === 'fulfilled') cli.terminal.out(one.value)
  if (targets.length === 0) cli.note('no agents')
  for (const failure of failures) if (!isInterrupt(failure)) cli.note(failureText(failure, cli.terminal.paintErr))
  if (failures.length > 0) cli.exitCode = exitCodeOf(failures[0])
}
