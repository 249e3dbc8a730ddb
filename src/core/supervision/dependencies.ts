import type { Policy } from '../../contract/policy.ts'
import { liveStates } from '../../contract/states.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { AgentRow, Tables } from '../../ports/store.ts'
import type { HealthView } from './observed.ts'
import { isSuccess } from './restart.ts'
import { loadRecord, type Record } from './situation.ts'

/** What an agent needs of another of its owner's before it is started. */
type Condition = NonNullable<Policy['depends_on']>[string]['condition']

/** A dependency that is not there yet. */
export interface Unmet {
  readonly name: string
  readonly condition: Condition
  /** Why it will not come by itself, in words that follow its name; undefined while it is on its way. */
  readonly trouble: string | undefined
}

export interface DependencyOptions {
  readonly healthOf: (agentId: string) => HealthView
}

export const dependenciesOf = ({ policy }: Pick<AgentRow, 'policy'>): [name: string, condition: Condition][] =>
  Object.entries(policy.depends_on ?? {}).map(([name, { condition }]) => [name, condition])

/** Troubles by name and condition: many may depend on the same agent, and it is looked at once. */
type Troubles = Map<string, string | undefined>

/** Which dependencies of an agent are not there yet. */
export async function unmetOf(tables: Tables, agent: AgentRow, options: DependencyOptions, known: Troubles = new Map()): Promise<Unmet[]> {
  const unmet: Unmet[] = []
  for (const [name, condition] of dependenciesOf(agent)) {
    const record = await findRecord(tables, agent.owner, name)
    if (record && isMet(record, condition, options)) continue
    const key = `${name} ${condition}`
    if (!known.has(key)) {
      // For the time being, should it lead back to itself.
      known.set(key, undefined)
      known.set(key, await troubleOf(tables, record, condition, options, known))
    }
    unmet.push({ name, condition, trouble: known.get(key) })
  }
  return unmet
}

/** `waits for db (healthy); cache (started), which does not exist` */
export const waitsFor = (unmet: readonly Unmet[]): string =>
  `waits for ${unmet.map(({ name, condition, trouble }) => `${name} (${condition})${trouble ? `, ${trouble}` : ''}`).join('; ')}`

export async function findRecord(tables: Tables, owner: string, name: string): Promise<Record | undefined> {
  const agent = await tables.agents.find(owner, name)
  return agent && !agent.deleting ? loadRecord(tables, agent.id) : undefined
}

export function isMet({ agent, life, run }: Record, condition: Condition, { healthOf }: DependencyOptions): boolean {
  if (!run || run.start !== life.start) return false
  if (condition === 'exited')
    return run.endedAt !== null && run.exitSignal === null && run.exitCode !== null && isSuccess(agent.policy.exit_codes, run.exitCode)
  if (life.desired !== 'running' || life.state !== 'RUNNING') return false
  return condition === 'started' || isHealthy(agent.policy, healthOf(agent.id))
}

function isHealthy({ probes }: Policy, { health, ready }: HealthView): boolean {
  if (!hasProbes({ probes })) return false
  return (!probes?.liveness || health === 'healthy') && (!probes?.readiness || ready === true)
}

const hasProbes = ({ probes }: Pick<Policy, 'probes'>): boolean => Boolean(probes?.liveness ?? probes?.readiness)

async function troubleOf(
  tables: Tables,
  record: Record | undefined,
  condition: Condition,
  options: DependencyOptions,
  known: Troubles,
): Promise<string | undefined> {
  if (!record) return 'which does not exist'
  const { agent, life, run } = record
  if (condition === 'healthy' && !hasProbes(agent.policy)) return 'which has no probes, so it is never healthy'
  if (life.desired === 'stopped') return 'which is stopped'
  if (liveStates.includes(life.state)) return undefined
  const isDue = (run?.start ?? 0) < life.start || life.state === 'STOPPED' || life.state === 'BACKOFF'
  if (!isDue) return `which is ${life.state}: ${life.reason}`
  const troubled = (await unmetOf(tables, agent, options, known)).find(({ trouble }) => trouble !== undefined)
  // One of them is reason enough; all of them would double the words with each step.
  return troubled && `which ${waitsFor([troubled])}`
}

/** Throws INVALID for a cycle, with all of it, and for a condition that can never come true. To be called before the row is stored. */
export async function checkDependencies(tables: Tables, agent: Pick<AgentRow, 'owner' | 'name' | 'policy'>): Promise<void> {
  for (const [name, condition] of dependenciesOf(agent)) {
    if (condition !== 'healthy' || name === agent.name) continue
    const found = await tables.agents.find(agent.owner, name)
    if (found && !hasProbes(found.policy))
      throw refused(
        `policy.depends_on.${name}.condition`,
        `${name} has no probes, so it is never healthy: give it one, or wait for started`,
      )
  }
  const cycle = await cycleOf(tables, agent)
  if (cycle) throw refused('policy.depends_on', `is a cycle: ${cycle.join(' → ')}`)
}

const refused = (path: string, message: string): RegentError =>
  new RegentError('INVALID', `${path}: ${message}`, { fields: [{ path, message }] })

/** The names from the agent back to itself, where its dependencies lead there. */
async function cycleOf(tables: Tables, agent: Pick<AgentRow, 'owner' | 'name' | 'policy'>): Promise<string[] | undefined> {
  const cleared = new Set<string>()
  const follow = async (from: Pick<AgentRow, 'policy'>, path: readonly string[]): Promise<string[] | undefined> => {
    for (const [name] of dependenciesOf(from)) {
      if (name === agent.name) return [...path, name]
      if (cleared.has(name)) continue
      cleared.add(name)
      const next = await tables.agents.find(agent.owner, name)
      const found = next && (await follow(next, [...path, name]))
      if (found) return found
    }
    return undefined
  }
  return follow(agent, [agent.name])
}
