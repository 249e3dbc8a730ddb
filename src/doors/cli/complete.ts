import { RootCommand, type Command as TabCommand } from '@bomb.sh/tab'
import type { Argument, Command, Option } from 'commander'
import { type WorkerState, workerStates } from '../../contract/states.ts'
import { fullName, listAgents } from './agents.ts'
import type { Cli } from './cli.ts'
import { clean, cut } from './output/text.ts'
import { verbOf } from './verbs.ts'
import { shortId, taskOf } from './workers/views.ts'

/** A shell waits for this; better no names than a pause. */
const PATIENCE_MS = 1000
/** The newest are those that are meant. */
const OFFERED = 50
/** Columns of what is said beside an id. */
const ABOUT = 60
/** For `--agent` of a worker; the server knows them for sure. */
const codingAgents = ['claude', 'codex', 'gemini', 'opencode', 'acp', 'command']

/**
 * Answers the completion scripts: `regent complete -- WORD…`, the last word being the one that is typed. `program` has every verb
 * configured. Prints candidates and, on the last line, `:0` where the shell should offer files.
 */
export async function complete(program: Command, words: readonly string[], cli: Cli): Promise<void> {
  const typed = words.map((word, at) => (at === 0 ? (verbOf(word)?.name ?? word) : word))
  const path = pathTo(program, typed)
  const before = typed.at(-2) ?? ''
  const option = [...(path.at(-1)?.options ?? []), ...program.options].find((one) => one.long === before || one.short === before)
  if (option && /FILE|DIR/.test(option.flags)) return cli.terminal.out(':0')
  const values = await valuesFor(path, option, cli)
  const root = new RootCommand()
  addOptions(root, program.options, values)
  for (const command of program.commands) addCommand(root, command, '', values)
  root.parse([...typed])
}

/** What may be typed, and what it is. */
type Offer = readonly [value: string, about: string]
type Values = (name: string) => readonly Offer[]

/** The commands that the words name: `worker`, `worker show`. */
function pathTo(program: Command, [word, ...words]: readonly string[]): Command[] {
  const found = program.commands.find((command) => command.name() === word || (word !== undefined && command.aliases().includes(word)))
  return found ? [found, ...pathTo(found, words)] : []
}

const plain = (words: readonly string[]): Offer[] => words.map((word) => [word, ''])

function addCommand(root: RootCommand, command: Command, prefix: string, values: Values): void {
  const name = prefix + command.name()
  const target = root.command(name, command.description())
  addOptions(target, command.options, values)
  for (const argument of command.registeredArguments) addArgument(target, argument, values)
  for (const inner of command.commands) addCommand(root, inner, `${name} `, values)
}

function addArgument(target: TabCommand, argument: Argument, values: Values): void {
  const found = argument.argChoices ? plain(argument.argChoices) : values(argument.name())
  target.argument(argument.name(), (offer) => found.forEach(([value, about]) => void offer(value, about)), argument.variadic)
}

function addOptions(target: TabCommand, options: readonly Option[], values: Values): void {
  for (const { long, short, description, argChoices, flags, required } of options) {
    if (!long) continue
    const name = long.slice(2)
    const found = argChoices ? plain(argChoices) : values(/<([A-Z]+)>$/.exec(flags)?.[1] ?? '')
    if (required) target.option(name, description, (offer) => found.forEach(([value, about]) => void offer(value, about)), short?.slice(1))
    else target.option(name, description, short?.slice(1))
  }
}

/** Names are asked for only where they can be offered; without a server there are none. */
async function valuesFor(path: readonly Command[], option: Option | undefined, cli: Cli): Promise<Values> {
  const wanted = [
    ...(path.at(-1)?.registeredArguments.map((argument) => argument.name()) ?? []),
    /<([A-Z]+)>$/.exec(option?.flags ?? '')?.[1] ?? '',
  ]
  const values: Readonly<Record<string, readonly Offer[]>> = {
    AGENT: wanted.includes('AGENT') ? plain(await agentNames(cli)) : [],
    ID: wanted.includes('ID') ? await idsFor(path[0]?.name() ?? '', path.at(-1)?.name() ?? '', option, cli) : [],
    SHELL: plain(['bash', 'zsh', 'fish', 'powershell']),
    KIND: plain(codingAgents),
    STATES: plain(workerStates),
  }
  return (name) => values[name] ?? []
}

/** Ids are of what the command is about. */
async function idsFor(verb: string, inner: string, option: Option | undefined, cli: Cli): Promise<Offer[]> {
  if (verb === 'approve' || verb === 'reject') return approvalIds(cli)
  if (verb === 'races') return raceIds(cli)
  const isOfWorker = ['worker', 'wait', 'peek', 'resume', 'cancel'].includes(verb) || option?.long === '--worker'
  if (!isOfWorker) return []
  const active = ['queued', 'running', 'limited'] as const
  const ended = ['completed', 'failed', 'cancelled'] as const
  return workerIds(cli, verb === 'wait' || verb === 'cancel' ? active : verb === 'resume' || inner === 'rm' ? ended : workerStates)
}

async function agentNames(cli: Cli): Promise<string[]> {
  try {
    const agents = await listAgents(await cli.client(), undefined, AbortSignal.timeout(PATIENCE_MS))
    const once = (name: string) => agents.filter((agent) => agent.name === name).length === 1
    return agents.flatMap((agent) => (once(agent.name) ? [agent.name, fullName(agent)] : [fullName(agent)]))
  } catch {
    return [] // A shell has no place for an error here.
  }
}

async function approvalIds(cli: Cli): Promise<Offer[]> {
  try {
    const client = await cli.client()
    const { approvals } = await client.call('approvals.list', {}, { signal: AbortSignal.timeout(PATIENCE_MS) })
    return approvals.map(({ id, agent, tool }) => [id.slice(0, 8), clean(`${agent} ${tool}`)])
  } catch {
    return [] // The same.
  }
}

async function workerIds(cli: Cli, states: readonly WorkerState[]): Promise<Offer[]> {
  try {
    const client = await cli.client()
    const { workers } = await client.call(
      'workers.list',
      { states: [...states], limit: OFFERED },
      { signal: AbortSignal.timeout(PATIENCE_MS) },
    )
    return workers.map((worker) => [shortId(worker.id), cut(clean(`${worker.state} ${taskOf(worker)}`), ABOUT)])
  } catch {
    return [] // The same.
  }
}

async function raceIds(cli: Cli): Promise<Offer[]> {
  try {
    const client = await cli.client()
    const { races } = await client.call('races.list', { limit: OFFERED }, { signal: AbortSignal.timeout(PATIENCE_MS) })
    return races.map(({ id, state, prompt }) => [shortId(id), cut(clean(`${state} ${prompt}`), ABOUT)])
  } catch {
    return [] // The same.
  }
}
