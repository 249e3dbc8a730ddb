import { randomUUID } from 'node:crypto'
import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Command } from 'commander'
import { Option } from 'commander'
import type { Client } from '../../../client/client.ts'
import type { AgentDetail, AgentView } from '../../../contract/agents.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { localUser } from '../../../kernel/local-user.ts'
import { fullName } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { collect, countOption, sizeOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf, printValue } from '../output/format.ts'
import { withProgress } from '../progress.ts'
import { givenVariables, present, variablesOf } from '../variables.ts'
import { startOne, tellStarted } from './life.ts'

interface Options extends FormatOptions {
  restart: 'always' | 'on-failure' | 'never'
  owner?: string
  cwd?: string
  env?: string[]
  envFile?: string[]
  limitMemory?: number
  limitCpu?: string
  limitPids?: number
  startsecs?: string
  wait?: boolean
}

/** Taken from the caller, since a program that works in this terminal should work as an agent. */
const inherited = ['PATH', 'HOME', 'LANG'] as const

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json', 'yaml', 'name'])
    .usage('NAME [options] -- COMMAND [ARG...]')
    .argument('<NAME>', 'name of the agent')
    .argument('<COMMAND...>', 'program and arguments; no shell is involved')
    .addOption(
      new Option('--restart <POLICY>', 'when it is started again').choices(['always', 'on-failure', 'never']).default('on-failure'),
    )
    .option('--owner <USER>', 'whose it is; default you')
    .option('--cwd <DIR>', 'working directory; default this one')
    .option('-e, --env <NAME=VALUE>', 'a variable for it; NAME alone takes your value', collect)
    .option('--env-file <FILE>', 'variables from a file', collect)
    .option('--limit-memory <SIZE>', 'such as 512MiB', sizeOption)
    .option('--limit-cpu <CORES>', 'such as 0.5')
    .option('--limit-pids <N>', 'processes and threads', countOption)
    .option('--startsecs <SECONDS>', 'time alive until it counts as RUNNING')
    .option('--wait', 'return when it is RUNNING')
    .addHelpText('after', '\nExample: regent run web --restart always -- python3 -m http.server 8000')
    .action(async (name: string, words: string[], options: Options) => {
      const format = formatOf(options)
      const wanted = await definitionOf(cli, name, words, options)
      const agent = await createOrFind(cli, await cli.client(), wanted, options.wait ?? false)
      if (format === 'json' || format === 'yaml') return printValue(cli.terminal, format, agent)
      if (format === 'name') return cli.terminal.out(fullName(agent))
      tellStarted(cli, agent)
    })
}

interface Wanted {
  readonly kind: 'command'
  readonly owner?: string
  readonly name: string
  readonly command: string[]
  readonly cwd: string
  readonly env: Record<string, string>
  readonly policy: { restart: Options['restart']; startsecs?: number }
  readonly limits: { memory_bytes?: number; cpus?: number; pids?: number }
}

async function definitionOf(cli: Cli, name: string, command: string[], options: Options): Promise<Wanted> {
  const { env, cwd } = cli.context
  const owner = options.owner ?? (cli.hasOwnToken() ? undefined : localUser())
  return {
    kind: 'command',
    ...(owner === undefined ? {} : { owner }),
    name,
    command,
    cwd: resolve(cwd, options.cwd ?? '.'),
    env: { ...present(env, inherited), ...(await variablesOf(options.envFile ?? [], cwd)), ...givenVariables(options.env ?? [], env) },
    policy: {
      restart: options.restart,
      ...(options.startsecs === undefined ? {} : { startsecs: numberOf(options.startsecs, '--startsecs') }),
    },
    limits: {
      ...(options.limitMemory === undefined ? {} : { memory_bytes: options.limitMemory }),
      ...(options.limitCpu === undefined ? {} : { cpus: numberOf(options.limitCpu, '--limit-cpu') }),
      ...(options.limitPids === undefined ? {} : { pids: options.limitPids }),
    },
  }
}

function numberOf(text: string, option: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value
  throw new RegentError('BAD_REQUEST', `${option} takes a number, not '${text}'`)
}

/** The same command again starts the agent that is there; another definition under its name is refused. */
async function createOrFind(cli: Cli, client: Client, wanted: Wanted, wait: boolean): Promise<AgentView> {
  const ref = wanted.owner === undefined ? wanted.name : `${wanted.owner}/${wanted.name}`
  try {
    const created = await client.call('agents.create', { agent: wanted, start: !wait }, { key: randomUUID(), signal: cli.signal })
    return wait ? await startOne(cli, client, created.id, true) : created
  } catch (error) {
    if (!(error instanceof RegentError) || error.code !== 'ALREADY_EXISTS') throw error
  }
  const there = await withProgress(cli, `looking at ${ref}`, client.call('agents.get', { agent: ref }, { signal: cli.signal }))
  const differences = differencesOf(there, wanted)
  if (differences.length > 0)
    throw new RegentError('ALREADY_EXISTS', `${fullName(there)} exists with another ${differences.join(', ')}`, {
      hint: `change it with \`regent apply -f FILE\`, remove it with \`regent rm ${fullName(there)}\`, or choose another name`,
    })
  const moved = inherited.filter(
    (name) => textAt(there.definition.env, name) !== wanted.env[name] && textAt(there.definition.env, name) !== '***',
  )
  if (moved.length > 0) cli.note(`${fullName(there)} keeps the ${moved.join(', ')} it was created with`)
  return startOne(cli, client, there.id, wait)
}

function differencesOf(there: AgentDetail, wanted: Wanted): string[] {
  const { command, cwd, env } = there.definition
  const names = [...new Set([...Object.keys(env ?? {}), ...Object.keys(wanted.env)])].filter(
    (name) => !inherited.some((one) => one === name),
  )
  const otherEnv = names.filter((name) => textAt(env, name) !== '***' && textAt(env, name) !== wanted.env[name])
  return [
    ...(there.kind === 'command' ? [] : ['kind']),
    ...(isDeepStrictEqual(command, wanted.command) ? [] : ['command']),
    ...(cwd === wanted.cwd ? [] : ['cwd']),
    ...(otherEnv.length === 0 ? [] : [`environment (${otherEnv.join(', ')})`]),
    ...(there.policy.restart === wanted.policy.restart ? [] : ['restart policy']),
    ...(wanted.policy.startsecs === undefined || there.policy.startsecs === wanted.policy.startsecs ? [] : ['startsecs']),
    ...(isDeepStrictEqual(there.limits, wanted.limits) ? [] : ['limits']),
  ]
}

const textAt = (env: unknown, name: string): unknown => (env as Record<string, unknown> | undefined)?.[name]
