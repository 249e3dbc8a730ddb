import type { Policy } from '../../contract/policy.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Ids } from '../../kernel/ids.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Run } from '../../ports/runtime.ts'
import type { AgentRow, Store, Tables } from '../../ports/store.ts'
import { hasRunner } from '../agents/check-policy.ts'
import { post } from '../conversations/inbox.ts'
import type { Observed } from './observed.ts'
import type { Presence } from './presence.ts'
import { tell } from './situation.ts'

type Rule = NonNullable<Policy['stalled']>

/** A stalled agent is looked at this often, so that its next sign of work is seen soon. */
const WATCH_MS = 5000
/** By how much a look may be late until that counts as time in which Regent itself did not run. */
const LATE_MS = 1000
/** A runner prints that it took in a message: not yet a sign that it works. */
const ECHO_MS = 3000

export interface StallsOptions {
  readonly store: Store
  readonly clock: Clock
  readonly ids: Ids
  readonly logger: Logger
  readonly observed: Observed
  readonly presence: Pick<Presence, 'of'>
  /** There is something new in an agent's inbox. */
  readonly deliver: (agentId: string) => void
  readonly unfit: (agentId: string, runId: string, why: string) => void
}

interface Watched {
  readonly agent: AgentRow
  readonly rule: Rule
  readonly run: Run
  /** Elapsed ms of the last sign of work, or of when it had nothing to do. */
  since: number
  /** Steps that were taken since. */
  taken: number
  /** When something was last printed, epoch ms, as far as it was seen. */
  printed: number | null
  nudged: number
  planned: number
  cancel: () => void
}

/**
 * Live agents that should work and show no sign of it, step by step (policy `stalled`). With a runner a sign is what comes over its link, and
 * what it prints; for plain programs it is what they print. Agents without the rule cost nothing.
 */
export class Stalls {
  readonly #options: StallsOptions
  readonly #watched = new Map<string, Watched>()

  constructor(options: StallsOptions) {
    this.#options = options
  }

  begin(agent: AgentRow, run: Run): void {
    this.end(agent.id)
    const rule = agent.policy.stalled
    if (!rule) return
    const now = this.#options.clock.elapsed()
    const watched = {
      agent,
      rule,
      run,
      since: now,
      taken: 0,
      printed: null,
      nudged: Number.NEGATIVE_INFINITY,
      planned: now,
      cancel: () => {},
    }
    this.#watched.set(agent.id, watched)
    this.#next(watched, rule.after * 1000)
  }

  freeze(agentId: string): void {
    this.#watched.get(agentId)?.cancel()
    this.#watched.delete(agentId)
  }

  end(agentId: string): void {
    this.freeze(agentId)
    this.#show(agentId, undefined)
  }

  /** A runner did, said or began something. */
  worked(agentId: string): void {
    const watched = this.#watched.get(agentId)
    if (watched) this.#sign(watched, this.#options.clock.elapsed())
  }

  close(): void {
    for (const { cancel } of this.#watched.values()) cancel()
    this.#watched.clear()
  }

  #next(watched: Watched, ms: number): void {
    const { clock } = this.#options
    watched.cancel()
    watched.planned = clock.elapsed() + Math.max(10, ms)
    watched.cancel = clock.after(Math.max(10, ms), () => void this.#look(watched))
  }

  async #look(watched: Watched): Promise<void> {
    const { clock, logger } = this.#options
    const late = clock.elapsed() - watched.planned
    if (late > LATE_MS) {
      // What happened meanwhile is still on its way to us; when it was that we stood still is not known.
      watched.since = watched.taken === 0 ? clock.elapsed() : watched.since + late
      return this.#next(watched, LATE_MS)
    }
    try {
      await this.#readOutput(watched)
    } catch (error) {
      logger.warn({ agent: watched.agent.id, error: reasonOf(error) }, 'it could not be seen when an agent last printed something')
    }
    if (this.#watched.get(watched.agent.id) !== watched) return
    if (!this.#shouldWork(watched)) this.#sign(watched, clock.elapsed())
    const left = this.#left(watched)
    if (left <= 0) await this.#step(watched)
    if (this.#watched.get(watched.agent.id) !== watched) return
    const wait = this.#left(watched)
    this.#next(watched, watched.taken === 0 ? wait : Math.min(wait, WATCH_MS))
  }

  /** ms until its next step; Infinity when all are taken. */
  #left({ rule, since, taken }: Watched): number {
    if (taken >= rule.steps.length) return Number.POSITIVE_INFINITY
    return (rule.after + taken * (rule.every ?? rule.after)) * 1000 - (this.#options.clock.elapsed() - since)
  }

  /** One that waits for a person or for a message has nothing to do; so has one whose runner cannot be asked. */
  #shouldWork({ agent }: Watched): boolean {
    return !hasRunner(agent) || this.#options.presence.of(agent.id).activity === 'working'
  }

  async #readOutput(watched: Watched): Promise<void> {
    const { clock } = this.#options
    const printed = await watched.run.lastOutputAt()
    if (printed === null || printed === watched.printed) return
    watched.printed = printed
    const at = clock.elapsed() - Math.max(0, clock.now() - printed)
    if (at > watched.nudged + ECHO_MS) this.#sign(watched, at)
  }

  #sign(watched: Watched, at: number): void {
    if (at <= watched.since) return
    const silentMs = at - watched.since
    watched.since = at
    if (watched.taken === 0) return
    watched.taken = 0
    const { agent, run } = watched
    this.#show(agent.id, undefined)
    this.#tell(agent, run, { cleared: true, silent_seconds: Math.round(silentMs / 1000) })
    this.#next(watched, watched.rule.after * 1000)
  }

  async #step(watched: Watched): Promise<void> {
    const { agent, run, rule } = watched
    const step = rule.steps[watched.taken]
    if (!step) return
    watched.taken++
    const seconds = Math.round((this.#options.clock.elapsed() - watched.since) / 1000)
    const message = `no sign of work for ${seconds} s`
    if (watched.taken === 1) this.#show(agent.id, message)
    const kept = step === 'restart' && agent.policy.restart === 'never' ? { kept: 'its restart policy is never' } : {}
    const nudge = step === 'nudge' && hasRunner(agent) ? this.#nudgeOf(watched, seconds) : undefined
    this.#tell(agent, run, { step, silent_seconds: seconds, message, ...kept }, nudge)
    if (step === 'nudge') await this.#nudge(watched)
    if (step === 'restart') this.#options.unfit(agent.id, run.handle.runId, `stalled: ${message}`)
  }

  async #nudge(watched: Watched): Promise<void> {
    const { clock, logger } = this.#options
    watched.nudged = clock.elapsed()
    if (hasRunner(watched.agent)) return
    try {
      await watched.run.signal('SIGCONT')
    } catch (error) {
      logger.warn({ agent: watched.agent.id, error: reasonOf(error) }, 'a stalled agent could not be sent SIGCONT')
    }
  }

  #nudgeOf({ agent, rule }: Watched, seconds: number): (tables: Tables) => Promise<unknown> {
    const { ids, clock } = this.#options
    const content =
      rule.nudge ??
      `There has been no sign of work from you for ${seconds} seconds. If something hinders you, say what; then go on with what can be done.`
    const message = { id: ids.next(), conversation: 'main', content, metadata: { nudge: true }, sender: 'regent', actor: 'regent' }
    return (tables) => post(tables, agent, message, clock)
  }

  /** `with` is written in the same transaction. */
  #tell(agent: AgentRow, run: Run, data: JsonObject, more?: (tables: Tables) => Promise<unknown>): void {
    const { store, clock, deliver, logger } = this.#options
    store
      .transaction(async (tables) => {
        if (!(await tables.agents.get(agent.id))) return
        await tell(tables, agent, 'agent.stalled', clock.now(), 'regent', { run_id: run.handle.runId, ...data })
        if (more) await more(tables)
      })
      .then(() => more && deliver(agent.id))
      .catch((error: unknown) => logger.warn({ agent: agent.id, error: reasonOf(error) }, 'a stalled agent could not be told of'))
  }

  #show(agentId: string, message: string | undefined): void {
    const { observed, clock } = this.#options
    observed.setStalled(agentId, message !== undefined)
    const conditions = message === undefined ? [] : [{ type: 'stalled', subject: 'work', message, since: clock.now() }]
    observed.setConditions(agentId, 'stalled', conditions)
  }
}
