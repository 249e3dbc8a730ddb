import type { AgentView } from '../../contract/agents.ts'
import type { Output } from '../../contract/operations.ts'
import { programName } from '../../contract/program.ts'
import { Fault } from './faults.ts'

/** Asks the core in the caller's name. */
export type Ask = (operation: string, input: object) => Promise<object>

/** One entry of `supervisorctl status`: an agent, or Regent itself (`agent` null). */
export interface Program {
  readonly group: string
  readonly name: string
  readonly agent: AgentView | null
}

export type AgentProgram = Program & { readonly agent: AgentView }

/** Regent itself, under the name that scripts of the agent manager know. */
export const REGENT = 'agent_manager'
export const regentProgram: Program = { group: REGENT, name: REGENT, agent: null }

const PAGE = 500

/** Every agent, in the order of program names. Two whose program names are the same share a group, each as `owner/name`. */
export async function agentPrograms(ask: Ask): Promise<AgentProgram[]> {
  const agents: AgentView[] = []
  let cursor: string | undefined
  do {
    const page = (await ask('agents.list', { limit: PAGE, ...(cursor !== undefined && { cursor }) })) as Output<'agents.list'>
    agents.push(...page.agents)
    cursor = page.next_cursor ?? undefined
  } while (cursor !== undefined)
  const taken = new Map<string, number>()
  for (const agent of agents) taken.set(programName(agent), (taken.get(programName(agent)) ?? 0) + 1)
  const programs = agents.map((agent) => {
    const group = programName(agent)
    return { group, name: taken.get(group) === 1 ? group : refOf(agent), agent }
  })
  return programs.sort((one, other) => compare(one.group, other.group) || compare(one.name, other.name))
}

const compare = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)
const refOf = (agent: AgentView): string => `${agent.owner}/${agent.name}`

export const isAgent = (program: Program): program is AgentProgram => program.agent !== null

/** As supervisorctl writes it: `name`, or `group:name` where they differ. */
export const specOf = ({ group, name }: Program): string => (group === name ? name : `${group}:${name}`)

/** What `name`, `group:name` or `group:*` means; `process` is undefined for the whole group. */
export function splitSpec(spec: string): { readonly group: string; readonly process: string | undefined } {
  const colon = spec.indexOf(':')
  if (colon < 0) return { group: spec, process: spec }
  const process = spec.slice(colon + 1)
  return { group: spec.slice(0, colon), process: process === '' || process === '*' ? undefined : process }
}

/** The one program of this name: its program name, `owner/name`, or an agent's name that is unique. Throws Fault BAD_NAME. */
export function programOf(programs: readonly AgentProgram[], spec: string): Program {
  const { group, process } = splitSpec(spec)
  if (process === undefined) throw new Fault('BAD_NAME', `${spec} is a group`)
  if (group !== process) {
    const found = programs.find((program) => program.group === group && program.name === process)
    if (!found) throw unknown(spec)
    return found
  }
  if (group === REGENT) return regentProgram
  const exact = programs.find((program) => program.group === group && program.name === group)
  return exact ?? byAlias(programs, group, spec)
}

function byAlias(programs: readonly AgentProgram[], alias: string, spec: string): Program {
  const owned = programs.find(({ agent }) => refOf(agent) === alias)
  if (owned) return owned
  const found = programs.filter(({ group, agent }) => agent.name === alias || group === alias)
  const [program, second] = found
  if (!program) throw unknown(spec)
  if (second) throw new Fault('BAD_NAME', `${spec} could be ${found.map(specOf).join(', ')}`)
  return program
}

/** The programs of a group; an alias of one program is a group too. Throws Fault BAD_NAME. */
export function groupOf(programs: readonly AgentProgram[], group: string): readonly Program[] {
  const members = programs.filter((program) => program.group === group)
  return members.length > 0 ? members : [programOf(programs, group)]
}

const unknown = (spec: string): Fault => new Fault('BAD_NAME', spec)
