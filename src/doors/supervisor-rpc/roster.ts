import type { AgentView } from '../../contract/agents.ts'
import { liveStates } from '../../contract/states.ts'
import { Fault } from './faults.ts'
import type { AgentProgram } from './programs.ts'

/** What `reread` tells, as groups; nothing ever disappears, since a deleted agent is gone at once. */
export interface Changes {
  readonly added: readonly AgentProgram[]
  readonly changed: readonly AgentProgram[]
}

/**
 * supervisord's "active configuration". Regent's own definitions are in force as soon as they are stored, so this remembers only what
 * `reread`, `update`, `add` and `remove` talk about, until Regent ends.
 */
export class Roster {
  /** Agents by id: there at the start, or added since. */
  readonly #active = new Set<string>()
  readonly #removed = new Set<string>()
  /** Those that the last reread found changed: to be started again when they are added. */
  #changed = new Set<string>()

  /** Takes all of these for known. */
  begin(programs: readonly AgentProgram[]): void {
    for (const { agent } of programs) this.#active.add(agent.id)
  }

  visible(programs: readonly AgentProgram[]): AgentProgram[] {
    return programs.filter(({ agent }) => !this.#removed.has(agent.id) || isLive(agent))
  }

  /** What was started is active, whoever did it. */
  isActive({ agent }: AgentProgram): boolean {
    return isLive(agent) || this.#active.has(agent.id) || (agent.run_id !== null && !this.#removed.has(agent.id))
  }

  reread(programs: readonly AgentProgram[]): Changes {
    this.#forgetDeleted(programs)
    const changed = programs.filter(({ agent }) => agent.running_revision !== null && agent.running_revision < agent.revision)
    this.#changed = new Set(changed.map(({ agent }) => agent.id))
    return { added: programs.filter((program) => !this.isActive(program)), changed }
  }

  /** Answers whether it is to be started, as one that an update stopped. Throws ALREADY_ADDED. */
  add(program: AgentProgram): boolean {
    const { agent, group } = program
    const restart = this.#changed.delete(agent.id)
    if (this.isActive(program) && !restart) throw new Fault('ALREADY_ADDED', group)
    this.#active.add(agent.id)
    this.#removed.delete(agent.id)
    return restart
  }

  /** Throws STILL_RUNNING. */
  remove({ agent, group }: AgentProgram): void {
    if (isLive(agent) || agent.state === 'BACKOFF') throw new Fault('STILL_RUNNING', group)
    this.#active.delete(agent.id)
    this.#removed.add(agent.id)
  }

  #forgetDeleted(programs: readonly AgentProgram[]): void {
    const there = new Set(programs.map(({ agent }) => agent.id))
    for (const ids of [this.#active, this.#removed]) for (const id of ids) if (!there.has(id)) ids.delete(id)
  }
}

const isLive = ({ state }: AgentView): boolean => liveStates.includes(state)
