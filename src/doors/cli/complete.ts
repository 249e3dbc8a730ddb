import { RootCommand, type Command as TabCommand } from '@bomb.sh/tab'
import type { Argument, Command, Option } from 'commander'
import { fullName, listAgents } from './agents.ts'
import type { Cli } from './cli.ts'
import { verbOf } from './verbs.ts'

/** A shell waits for this; better no names than a pause. */
const PATIENCE_MS = 1000

/**
 * Answers the completion scripts: `regent complete -- WORD…`, the last word being the one that is typed. `program` has every verb
 * configured. Prints candidates and, on the last line, `:0` where the shell should offer files.
 */
export async function complete(program: Command, words: readonly string[], cli: Cli): Promise<void> {
  const typed = words.map((word, at) => (at === 0 ? (verbOf(word)?.name ?? word) : word))
  const verb = program.commands.find((command) => command.name() === typed[0])
  const before = typed.at(-2) ?? ''
  const option = [...(verb?.options ?? []), ...program.options].find((one) => one.long === before || one.short === before)
  if (option && /FILE|DIR/.test(option.flags)) return cli.terminal.out(':0')
  const values = await valuesFor(verb, option, cli)
  const root = new RootCommand()
  addOptions(root, program.options, values)
  for (const command of program.commands) addCommand(root, command, '', values)
  root.parse([...typed])
}

type Values = (name: string) => readonly string[]

function addCommand(root: RootCommand, command: Command, prefix: string, values: Values): void {
  const name = prefix + command.name()
  const target = root.command(name, command.description())
  addOptions(target, command.options, values)
  for (const argument of command.registeredArguments) addArgument(target, argument, values)
  for (const inner of command.commands) addCommand(root, inner, `${name} `, values)
}

function addArgument(target: TabCommand, argument: Argument, values: Values): void {
  const found = argument.argChoices ?? values(argument.name())
  target.argument(argument.name(), (offer) => found.forEach((value) => void offer(value, '')), argument.variadic)
}

function addOptions(target: TabCommand, options: readonly Option[], values: Values): void {
  for (const { long, short, description, argChoices, flags, required } of options) {
    if (!long) continue
    const name = long.slice(2)
    const found = argChoices ?? values(/<([A-Z]+)>$/.exec(flags)?.[1] ?? '')
    if (required) target.option(name, description, (offer) => found.forEach((value) => void offer(value, '')), short?.slice(1))
    else target.option(name, description, short?.slice(1))
  }
}

/** Names are asked for only where they can be offered; without a server there are none. */
async function valuesFor(verb: Command | undefined, option: Option | undefined, cli: Cli): Promise<Values> {
  const wanted = [
    ...(verb?.registeredArguments.map((argument) => argument.name()) ?? []),
    /<([A-Z]+)>$/.exec(option?.flags ?? '')?.[1] ?? '',
  ]
  const agents = wanted.includes('AGENT') ? await agentNames(cli) : []
  const approvals = verb?.name() === 'approve' || verb?.name() === 'reject' ? await approvalIds(cli) : []
  const values: Readonly<Record<string, readonly string[]>> = { AGENT: agents, ID: approvals, SHELL: ['bash', 'zsh', 'fish', 'powershell'] }
  return (name) => values[name] ?? []
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

async function approvalIds(cli: Cli): Promise<string[]> {
  try {
    const client = await cli.client()
    return (await client.call('approvals.list', {}, { signal: AbortSignal.timeout(PATIENCE_MS) })).approvals.map(({ id }) => id.slice(0, 8))
  } catch {
    return [] // The same.
  }
}
