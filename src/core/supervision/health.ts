import type { Condition } from '../../contract/agents.ts'
import { type Policy, type Probe, probe as probeSchema } from '../../contract/policy.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { ProbeOutcome, Prober } from '../../ports/prober.ts'
import type { Run } from '../../ports/runtime.ts'
import type { AgentRow, Store } from '../../ports/store.ts'
import type { Heartbeat } from '../conversations/heartbeat.ts'
import type { Observed } from './observed.ts'
import { type Look, ProbeLoop } from './probe-loop.ts'
import { tell } from './situation.ts'
import { Slots } from './slots.ts'

/** Looks that go on at once, over all agents: connections, and programs that are started. */
const CONNECTIONS = 64
const PROGRAMS = 8
/** One that takes longer no longer counts: the probes of one user must not hold up those of all others. */
const SLOW_MS = 2000
/** A runner that lost its link is back within this, where it can. */
const RELINK_MS = 15_000

export interface HealthOptions {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
  readonly observed: Observed
  readonly prober: Prober
  /** Asks a runner over its link. */
  readonly heartbeat: (agentId: string, runId: string, signal: AbortSignal) => Promise<Heartbeat>
  /** The run is to be replaced, where its policy allows. */
  readonly unfit: (agentId: string, runId: string, why: string) => void
  /** Something of an agent that others wait for is different now. */
  readonly changed: (agentId: string) => void
}

type Purpose = keyof NonNullable<Policy['probes']>

/** Looks, from outside, whether live agents work: their probes, from the start of a run to its end. */
export class Health {
  readonly #options: HealthOptions
  readonly #watched = new Map<string, readonly ProbeLoop[]>()
  readonly #connections: Slots
  readonly #programs: Slots

  constructor(options: HealthOptions) {
    this.#options = options
    this.#connections = new Slots(CONNECTIONS, SLOW_MS, options.clock)
    this.#programs = new Slots(PROGRAMS, SLOW_MS, options.clock)
  }

  begin(agent: AgentRow, run: Run): void {
    this.end(agent.id)
    const probes = probesOf(agent)
    const { observed, clock } = this.#options
    const given = (['liveness', 'readiness'] as const).flatMap((purpose) => {
      const probe = probes[purpose]
      return probe ? [{ purpose, probe }] : []
    })
    if (given.length === 0) return
    observed.setHealth(agent.id, { health: probes.liveness ? 'unknown' : null, ready: probes.readiness ? false : null })
    const loops = given.map(({ purpose, probe }) => this.#loop(agent, run, purpose, probe))
    this.#watched.set(agent.id, loops)
    for (const loop of loops) loop.start(Math.max(0, clock.now() - run.startedAt))
  }

  freeze(agentId: string): void {
    for (const loop of this.#watched.get(agentId) ?? []) loop.close()
  }

  end(agentId: string): void {
    const loops = this.#watched.get(agentId)
    if (!loops) return
    this.#watched.delete(agentId)
    for (const loop of loops) loop.close()
    const { observed } = this.#options
    observed.setHealth(agentId, { health: null, ready: null })
    observed.setConditions(agentId, 'liveness', [])
    observed.setConditions(agentId, 'readiness', [])
  }

  close(): void {
    for (const loops of this.#watched.values()) for (const loop of loops) loop.close()
    this.#watched.clear()
  }

  #loop(agent: AgentRow, run: Run, purpose: Purpose, probe: Probe): ProbeLoop {
    const { clock, random } = this.#options
    const slots = { http: this.#connections, tcp: this.#connections, exec: this.#programs, heartbeat: undefined }[probe.type]
    const silence = `${probe.type === 'heartbeat' ? 'its runner did not answer' : `no answer to its ${probe.type} probe`} within ${probe.timeout} s`
    const onVerdict = (well: boolean, message: string) => this.#take(agent, run, { purpose, probe, well, message })
    return new ProbeLoop({ clock, random, timing: probe, look: this.#lookOf(agent, run, probe), slots, silence, onVerdict })
  }

  #lookOf(agent: AgentRow, run: Run, probe: Probe): Look {
    switch (probe.type) {
      case 'http':
      case 'tcp':
        return (signal) => this.#options.prober.probe(probe, signal)
      case 'exec':
        return this.#program(agent, run, probe)
      case 'heartbeat':
        return this.#listener(agent.id, run.handle.runId)
    }
  }

  /** A program that Regent could not even start says nothing of the agent. */
  #program(agent: AgentRow, run: Run, { command, timeout }: Extract<Probe, { type: 'exec' }>): Look {
    let told = false
    return async (signal) => {
      try {
        const { code, output } = await run.exec(command, { timeoutMs: timeout * 1000, signal })
        return { ok: code === 0, message: execWords(command, code, output, timeout) }
      } catch (error) {
        if (!told && !signal.aborted) this.#options.logger.warn({ agent: agent.id, error: reasonOf(error) }, 'a probe could not be started')
        told = true
        return undefined
      }
    }
  }

  /** Counts from the first answer of this run to this Regent; a link that is lost is a miss only once it should be back. */
  #listener(agentId: string, runId: string): Look {
    const { clock, heartbeat } = this.#options
    let goneSince: number | undefined
    let known = false
    return async (signal): Promise<ProbeOutcome | undefined> => {
      const said = await heartbeat(agentId, runId, signal)
      if (said !== 'absent') {
        known = true
        goneSince = undefined
        return said === 'answered' ? { ok: true, message: 'its runner answers' } : { ok: false, message: 'its runner does not answer' }
      }
      if (!known) return undefined
      goneSince ??= clock.elapsed()
      if (clock.elapsed() - goneSince < RELINK_MS) return undefined
      return { ok: false, message: 'its runner has lost its link to Regent and does not come back' }
    }
  }

  #take(agent: AgentRow, run: Run, seen: { purpose: Purpose; probe: Probe; well: boolean; message: string }): void {
    const { observed, clock, changed, unfit, logger } = this.#options
    const { purpose, probe, well, message } = seen
    const before = observed.health(agent.id)
    const health = well ? 'healthy' : 'unhealthy'
    observed.setHealth(agent.id, purpose === 'liveness' ? { ...before, health } : { ...before, ready: well })
    const condition: Condition = { type: purpose, subject: probe.type, message, since: clock.now() }
    observed.setConditions(agent.id, purpose, well ? [] : [condition])
    const runId = run.handle.runId
    const said = { run_id: runId, probe: probe.type, message }
    const told =
      purpose === 'liveness'
        ? this.#tell(agent, runId, 'agent.health_changed', { health, ...said })
        : before.ready === well
          ? Promise.resolve()
          : this.#tell(agent, runId, 'agent.ready_changed', { ready: well, ...said })
    void told
      .catch((error: unknown) => logger.warn({ agent: agent.id, error: reasonOf(error) }, 'a change of health could not be told'))
      .then(() => {
        changed(agent.id)
        if (purpose === 'liveness' && !well) unfit(agent.id, runId, `unhealthy: ${message}`)
      })
  }

  /** Only of a run that is still the present one. */
  #tell(agent: AgentRow, runId: string, type: 'agent.health_changed' | 'agent.ready_changed', data: Parameters<typeof tell>[5]) {
    const { store, clock } = this.#options
    return store.transaction(async (tables) => {
      const run = await tables.runs.get(runId)
      if (run && run.endedAt === null) await tell(tables, agent, type, clock.now(), 'regent', data)
    })
  }
}

const heartbeatProbe = probeSchema.parse({ type: 'heartbeat' })

/** What is looked at: as its policy says, and the runner of those that have one, unless it says otherwise. */
export function probesOf({ kind, policy }: AgentRow): NonNullable<Policy['probes']> {
  if (policy.probes?.liveness || kind === 'command' || kind === 'container') return policy.probes ?? {}
  return { ...policy.probes, liveness: heartbeatProbe }
}

function execWords(command: readonly string[], code: number | null, output: string, timeout: number): string {
  const program = command[0] ?? ''
  if (code === null) return `${program}: not done within ${timeout} s`
  const last = output.trimEnd().split('\n').at(-1)?.slice(0, 200) ?? ''
  return `${program}: exited with ${code}${last === '' || code === 0 ? '' : `: ${last}`}`
}
