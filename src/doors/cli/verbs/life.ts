import type { Command } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { AgentView } from '../../../contract/agents.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { fullName, messageOf, stateColour } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { confirm } from '../confirm.ts'
import { EXIT, exitCodeOf, failureText, isInterrupt } from '../failure.ts'
import { durationOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { plural } from '../output/text.ts'
import { inParallel } from '../parallel.ts'
import { withProgress } from '../progress.ts'
import { about, resolveTargets, type Target } from '../targets.ts'

interface Options extends FormatOptions {
  owner?: string
  wait?: boolean
  timeout?: number
  yes?: boolean
}

interface Waiting {
  readonly wait: boolean
  readonly timeout?: number
}

/** One of start, stop, restart and rm. */
interface Action {
  /** For the spinner: `starting 3 agents`. */
  readonly doing: string
  readonly ask: (client: Client, agent: string, waiting: Waiting, signal: AbortSignal) => Promise<Outcome>
  /** Tells people what came of it; the answer is false where it is not what was wanted. */
  readonly tell: (cli: Cli, outcome: Outcome) => boolean
  readonly next: (outcome: Outcome) => readonly string[]
  /** How several are asked together, where their order matters; else they are asked side by side. */
  readonly askAll?: (client: Client, agents: readonly string[], waiting: Waiting, signal: AbortSignal) => Promise<readonly Outcome[]>
}

type Outcome = AgentView & { readonly survivors?: readonly number[]; readonly deleted?: boolean }

export function configureStart(command: Command, cli: Cli): void {
  configureLife(command, cli, {
    doing: 'starting',
    ask: (client, agent, waiting, signal) => client.call('agents.start', { agent, ...waiting }, { signal }),
    tell: tellStart,
    next: nextAfterStart,
  })
}

export function configureRestart(command: Command, cli: Cli): void {
  configureLife(command, cli, {
    doing: 'restarting',
    ask: (client, agent, waiting, signal) => client.call('agents.restart', { agent, ...waiting }, { signal }),
    tell: tellStart,
    next: nextAfterStart,
  })
}

export function configureStop(command: Command, cli: Cli): void {
  configureLife(command, cli, {
    doing: 'stopping',
    ask: (client, agent, waiting, signal) => client.call('agents.stop', { agent, ...waiting }, { signal }),
    askAll: async (client, agents, waiting, signal) =>
      (await client.call('agents.stop_all', { agents: [...agents], ...waiting }, { signal })).agents,
    tell(cli, outcome) {
      tellState(cli, outcome)
      const survivors = outcome.survivors ?? []
      if (survivors.length > 0)
        cli.note(
          `${plural(survivors.length, 'process')} of ${fullName(outcome)} could not be ended: ${survivors.join(' ')} (see regent doctor)`,
        )
      return survivors.length === 0
    },
    next: () => [],
  })
}

export function configureRemove(command: Command, cli: Cli): void {
  configureLife(command.option('-y, --yes', 'do not ask before several are removed'), cli, {
    doing: 'removing',
    ask: async (client, agent, waiting, signal) => (await client.call('agents.delete', { agent, ...waiting }, { signal })) as Outcome,
    tell(cli, outcome) {
      cli.terminal.out(`${fullName(outcome)}  removed`)
      return true
    },
    next: () => [],
  })
}

function configureLife(command: Command, cli: Cli, action: Action): void {
  const isRemoval = command.name() === 'rm'
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .argument('<AGENT...>', 'names, owner/name, ids, unique id prefixes, globs, or all')
    .option('--owner <USER>', 'with all or a glob: only agents of this user')
    .option('--wait', 'return when it is done (the default)')
    .option('--no-wait', 'return when the order is accepted')
    .option('--timeout <DURATION>', 'how long to wait at most, such as 30s', durationOption)
    .action(async (words: string[], options: Options) => {
      const client = await cli.client()
      const targets = await resolveTargets(client, words, options.owner)
      const isSweeping = targets.length > 1 || words.includes('all')
      if (isRemoval && isSweeping && !options.yes && !(await confirm(cli, questionFor(targets)))) {
        cli.note('nothing was removed')
        cli.exitCode = EXIT.failed
        return
      }
      await act(cli, client, targets, options, action)
    })
}

function questionFor(targets: readonly Target[]): string {
  const names = targets.slice(0, 5).map(({ name }) => name)
  const more = targets.length > names.length ? ` and ${targets.length - names.length} more` : ''
  return `Remove ${plural(targets.length, 'agent')} with their files (${names.join(', ')}${more})?`
}

/** Side by side; a failure of one does not hinder the others, and the first decides the exit code. */
async function act(cli: Cli, client: Client, targets: readonly Target[], options: Options, action: Action): Promise<void> {
  const format = formatOf(options)
  const waiting = { wait: options.wait ?? true, ...(options.timeout === undefined ? {} : { timeout: options.timeout }) }
  const label = targets.length === 1 ? (targets[0]?.name ?? '') : plural(targets.length, 'agent')
  const asked =
    action.askAll && targets.length > 1
      ? together(cli, client, targets, waiting, action.askAll)
      : oneByOne(cli, client, targets, waiting, action)
  const settled = await withProgress(cli, `${action.doing} ${label}`, asked)
  const done = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const failures = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  if (format === 'json' || format === 'yaml') await printValue(cli.terminal, format, done)
  else if (format === 'name') for (const outcome of done) cli.terminal.out(fullName(outcome))
  const good = done.filter((outcome) => (format === 'table' ? action.tell(cli, outcome) : true))
  if (targets.length === 0) cli.note('no agents')
  for (const failure of failures) if (!isInterrupt(failure)) cli.note(failureText(failure, cli.terminal.paintErr))
  if (failures.length > 0) cli.exitCode = exitCodeOf(failures[0])
  else if (good.length < done.length) cli.exitCode = 1
  const [only] = done
  if (only && done.length === 1 && failures.length === 0) cli.next(...action.next(only))
}

const oneByOne = (cli: Cli, client: Client, targets: readonly Target[], waiting: Waiting, action: Action) =>
  inParallel(targets, ({ ref }) => about(client, ref, () => action.ask(client, ref, waiting, cli.signal)))

/** Those that are not there are told; the others are asked in one request. */
async function together(
  cli: Cli,
  client: Client,
  targets: readonly Target[],
  waiting: Waiting,
  askAll: NonNullable<Action['askAll']>,
): Promise<PromiseSettledResult<Outcome>[]> {
  // Whoever was found by a glob or by all has just been seen.
  const idOf = async ({ ref, name }: Target) =>
    ref === name ? (await about(client, ref, () => client.call('agents.get', { agent: ref }, { signal: cli.signal }))).id : ref
  const looked = await inParallel(targets, idOf)
  const missing = looked.filter((one) => one.status === 'rejected')
  const ids = looked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (ids.length === 0) return missing
  const [asked] = await Promise.allSettled([askAll(client, ids, waiting, cli.signal)])
  if (asked.status === 'rejected') return [...missing, asked]
  return [...missing, ...asked.value.map((value) => ({ status: 'fulfilled' as const, value }))]
}

function tellState(cli: Cli, agent: AgentView): void {
  const { terminal } = cli
  const pid = agent.pid === null ? '' : `  pid ${agent.pid}`
  const message = messageOf(agent)
  terminal.out(`${fullName(agent)}  ${terminal.paint(stateColour(agent.state), agent.state)}${pid}${message === '' ? '' : `  ${message}`}`)
}

function tellStart(cli: Cli, agent: AgentView): boolean {
  tellState(cli, agent)
  const isDown = agent.state === 'FATAL' || agent.state === 'BACKOFF'
  if (isDown) cli.note(`${fullName(agent)} did not start; see regent logs ${fullName(agent)}`)
  return !isDown
}

function nextAfterStart(agent: AgentView): readonly string[] {
  const name = fullName(agent)
  return agent.kind === 'team' ? [`regent chat ${name}`, `regent logs -f ${name}`] : [`regent logs -f ${name}`]
}

/** Starts one agent and tells of it, for the verbs that also create it. */
export async function startOne(cli: Cli, client: Client, ref: string, wait: boolean): Promise<AgentView> {
  const work = client.call('agents.start', { agent: ref, wait }, { signal: cli.signal })
  return withProgress(cli, `starting ${ref}`, work)
}

/** Throws START_FAILED for what is down; prints one line otherwise. */
export function tellStarted(cli: Cli, agent: AgentView): void {
  if (agent.state === 'FATAL' || agent.state === 'BACKOFF')
    throw new RegentError('START_FAILED', `${fullName(agent)} did not start: ${agent.reason}`, {
      hint: `see regent logs ${fullName(agent)}`,
    })
  if (agent.state === 'STOPPED' && agent.desired === 'running')
    cli.terminal.out(`${fullName(agent)}  ${cli.terminal.paint('cyan', 'starting')}`)
  else tellState(cli, agent)
  cli.next(...nextAfterStart(agent))
}
