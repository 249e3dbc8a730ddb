import { knownAs } from '../../contract/agent-commands.ts'
import type { Desk } from '../../core/desk.ts'
import type { AgentRow } from '../../ports/store.ts'

/** An agent of this door. */
export interface Member {
  /** Regent's id of it. */
  readonly id: string
  /** Its callers' id of it. */
  readonly agentId: string
  readonly owner: string
}

export interface RosterOptions {
  readonly read: Desk['read']
  /** An agent is new here, or gone. */
  readonly joined: (member: Member) => void
  readonly left: (member: Member) => void
}

const OTHERS_KEPT = 10_000

/** Who is whom: agents by their callers' ids and by Regent's. What is stored with each agent decides; this is the way to it. */
export class Roster {
  readonly #o: RosterOptions
  /** Agents that are none of this door's, and those that are gone: their events are many, and the journal is long. */
  readonly #others = new Map<string, Member | undefined>()
  readonly #byId = new Map<string, Member>()
  readonly #byAgentId = new Map<string, Member>()

  constructor(options: RosterOptions) {
    this.#o = options
  }

  /** To be called once, before anything else. */
  async load(): Promise<void> {
    const rows = await this.#o.read.agents.list({ kind: 'team' })
    for (const row of rows.toSorted((a, b) => a.createdAt - b.createdAt)) this.#add(row)
  }

  /** As it is stored now. */
  async find(agentId: string): Promise<AgentRow | undefined> {
    const member = this.#byAgentId.get(agentId)
    return member && this.#o.read.agents.get(member.id)
  }

  /** Takes note of an agent that was made or changed. */
  async note(id: string): Promise<void> {
    const row = await this.#o.read.agents.get(id)
    if (row) this.#add(row)
  }

  forget(id: string): void {
    this.#others.delete(id)
    const member = this.#byId.get(id)
    if (!member) return
    this.#byId.delete(id)
    if (this.#byAgentId.get(member.agentId) !== member) return
    this.#byAgentId.delete(member.agentId)
    this.#o.left(member)
  }

  /** By Regent's id; of one that is gone as long as the journal tells of its end. */
  async of(id: string): Promise<Member | undefined> {
    const member = this.#byId.get(id)
    if (member) return member
    if (this.#others.has(id)) return this.#others.get(id)
    const found = (await this.#o.read.agents.get(id)) ? undefined : await this.#gone(id)
    this.#others.set(id, found)
    const [oldest] = this.#others.keys()
    if (this.#others.size > OTHERS_KEPT && oldest !== undefined) this.#others.delete(oldest)
    return found
  }

  async #gone(id: string): Promise<Member | undefined> {
    const [end] = await this.#o.read.events.list({ agentId: id, types: ['agent.deleted'], after: 0, limit: 1 })
    const known = end && knownAs({ json_config: { agent_config: end.data.known_as ?? null } })
    return known && end.owner === known.customer_id ? { id, agentId: known.agent_id, owner: end.owner } : undefined
  }

  has(id: string): boolean {
    return this.#byId.has(id)
  }

  get all(): readonly Member[] {
    return [...this.#byAgentId.values()]
  }

  /** One id means one agent: the first that was made under it. Whoever claims another customer's name is none of this door's. */
  #add({ id, owner, definition }: AgentRow): void {
    const known = knownAs(definition)
    if (!known || known.customer_id !== owner || this.#byId.has(id)) return
    const member = { id, agentId: known.agent_id, owner }
    const before = this.#byAgentId.get(member.agentId)
    if (before && before.owner !== owner) return
    this.#others.delete(id)
    this.#byId.set(id, member)
    this.#byAgentId.set(member.agentId, member)
    if (before) this.#o.left(before)
    this.#o.joined(member)
  }
}
