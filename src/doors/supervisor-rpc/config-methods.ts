import { constants } from 'node:os'
import type { AgentDetail } from '../../contract/agents.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Value } from './codec.ts'
import { Fault } from './faults.ts'
import { isRunningNow, start } from './life-methods.ts'
import { type Context, method } from './method.ts'
import { type AgentProgram, type Ask, agentPrograms, groupOf, isAgent, REGENT, splitSpec } from './programs.ts'
import type { Roster } from './roster.ts'

/** reread, update, avail, add, remove; see docs/supervisorctl.md for what they mean here. */
export const configMethods = {
  reloadConfig: method('Which groups are new, changed or gone since they were added', 'array', [], async ({ ask, roster }) => {
    const { added, changed } = roster.reread(await agentPrograms(ask))
    return [[groupsOf(added), groupsOf(changed), []]]
  }),
  addProcessGroup: method(
    'Put a group into the list; one that an update stopped is started',
    'boolean',
    ['string'],
    async (context, name) => {
      const members = await membersOf(context, name)
      const restart = members.filter((program) => context.roster.add(program))
      await Promise.all(restart.filter((program) => !isRunningNow(program)).map((program) => start(context, program, false)))
      return true
    },
  ),
  removeProcessGroup: method('Take a stopped group out of the list; its agents stay', 'boolean', ['string'], async (context, name) => {
    for (const program of await membersOf(context, name)) context.roster.remove(program)
    return true
  }),
  getAllConfigInfo: method('How every program is configured', 'array', [], async (context) => {
    const programs = await agentPrograms(context.ask)
    const known = await Promise.all(programs.map((program) => detailOf(context.ask, program)))
    return programs.flatMap((program, at) => {
      const detail = known[at]
      return detail ? [configInfo(detail, program, context.roster)] : []
    })
  }),
}

const groupsOf = (programs: readonly AgentProgram[]): string[] => [...new Set(programs.map(({ group }) => group))]

async function membersOf({ ask }: Context, name: string): Promise<AgentProgram[]> {
  if (name === REGENT) throw new Fault('BAD_NAME', `${REGENT} is Regent itself, which is always there`)
  const members = groupOf(await agentPrograms(ask), splitSpec(name).group).filter(isAgent)
  if (members.length === 0) throw new Fault('BAD_NAME', name)
  return members
}

const MIB = 1024 * 1024

/** Undefined for one that was deleted meanwhile. */
async function detailOf(ask: Ask, { agent }: AgentProgram): Promise<AgentDetail | undefined> {
  try {
    return (await ask('agents.get', { agent: agent.id })) as AgentDetail
  } catch (error) {
    if (error instanceof RegentError && error.code === 'NOT_FOUND') return undefined
    throw error
  }
}

function configInfo({ policy, definition }: AgentDetail, program: AgentProgram, roster: Roster): Value {
  const { group, name, agent } = program
  const { command, cwd } = definition as { command?: readonly string[]; cwd?: string }
  const log = { capture_maxbytes: 0, events_enabled: false, logfile: 'auto', logfile_backups: 0, logfile_maxbytes: MIB, syslog: false }
  return {
    ...{ group, name, inuse: roster.isActive(program), group_prio: 999, process_prio: 999 },
    autostart: agent.desired === 'running',
    command: command?.join(' ') ?? agent.file ?? '',
    directory: cwd ?? 'none',
    uid: 'none',
    exitcodes: [0],
    ...{ killasgroup: true, redirect_stderr: agent.kind === 'team', serverurl: 'none' },
    ...{ startsecs: Math.ceil(policy.startsecs), startretries: policy.startretries, stopwaitsecs: Math.ceil(policy.stop_grace) },
    stopsignal: constants.signals[`SIG${policy.stop_signal}` as NodeJS.Signals] ?? 15,
    ...prefixed('stdout', log),
    ...prefixed('stderr', log),
  }
}

const prefixed = (prefix: string, values: Readonly<Record<string, Value>>): Record<string, Value> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [`${prefix}_${key}`, value]))
