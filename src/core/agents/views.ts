import type { AgentDetail, AgentView, Condition, Resources } from '../../contract/agents.ts'
import { programName } from '../../contract/program.ts'
import { type Health, liveStates } from '../../contract/states.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { AgentRow, AgentStanding, Tables } from '../../ports/store.ts'
import type { Presence } from '../supervision/presence.ts'
import { masked } from './hidden.ts'

export interface Viewing {
  readonly clock: Clock
  readonly presence: Pick<Presence, 'of'>
  /** What is missing around an agent beside what it says itself. */
  readonly conditionsOf: (agentId: string) => readonly Condition[]
  /** What its probes say. */
  readonly healthOf: (agentId: string) => { readonly health: Health | null; readonly ready: boolean | null }
  readonly resourcesOf: (agentId: string) => Resources | null
  /** When its schedules come next. */
  readonly schedulesOf: (agent: Pick<AgentRow, 'policy'>) => AgentDetail['schedules']
}

/** Agents as doors show them; one read, however many they are. */
export async function viewsOf(tables: Tables, agents: readonly AgentRow[], viewing: Viewing): Promise<AgentView[]> {
  if (agents.length === 0) return []
  const standings = await tables.records.standings(agents.map((agent) => agent.id))
  const standingOf = new Map(standings.map((standing) => [standing.life.agentId, standing]))
  return agents.flatMap((agent) => {
    const standing = standingOf.get(agent.id)
    return standing ? [viewOf(agent, standing, viewing)] : []
  })
}

function viewOf(agent: AgentRow, { life, run, usage, waiting }: AgentStanding, more: Viewing): AgentView {
  const live = liveStates.includes(life.state) && run !== undefined && run.endedAt === null
  const presence = more.presence.of(agent.id)
  return {
    id: agent.id,
    owner: agent.owner,
    name: agent.name,
    kind: agent.kind,
    runtime: agent.runtime,
    desired: life.desired,
    state: life.state,
    reason: life.reason,
    since: life.since,
    activity: live ? presence.activity : null,
    ...(live ? more.healthOf(agent.id) : { health: null, ready: null }),
    resources: live ? more.resourcesOf(agent.id) : null,
    pid: live ? run.pid : null,
    run_id: life.runId,
    restarts: life.restarts,
    uptime_ms: live ? Math.max(0, more.clock.now() - run.startedAt) : null,
    exit_code: life.exitCode,
    exit_signal: life.exitSignal,
    file: agent.file,
    revision: agent.revision,
    running_revision: live ? run.revision : null,
    queued: waiting,
    usage: {
      model_calls: usage?.modelCalls ?? 0,
      input_tokens: usage?.inputTokens ?? 0,
      output_tokens: usage?.outputTokens ?? 0,
      cost_usd: usage ? usage.costUsd : 0,
    },
    conditions: [...(live ? presence.conditions : []), ...more.conditionsOf(agent.id)],
    created_at: agent.createdAt,
    updated_at: agent.updatedAt,
  }
}

export function detailOf(agent: AgentRow, view: AgentView, { schedulesOf }: Pick<Viewing, 'schedulesOf'>): AgentDetail {
  return {
    ...view,
    definition: masked(agent.definition),
    policy: agent.policy,
    limits: agent.limits,
    program: programName(agent),
    schedules: schedulesOf(agent),
    notes: notesOf(agent, view),
  }
}

function notesOf(agent: AgentRow, view: AgentView): string[] {
  const notes: string[] = []
  if (view.running_revision !== null && view.running_revision < agent.revision)
    notes.push(`revision ${agent.revision} of its definition takes effect at its next start; revision ${view.running_revision} runs`)
  if (view.queued > 0 && view.state !== 'RUNNING' && view.state !== 'STARTING')
    notes.push(`${view.queued} ${view.queued === 1 ? 'message waits' : 'messages wait'} until it is started`)
  return notes
}
