import type { Policy } from '../../contract/policy.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Calendar } from '../../ports/calendar.ts'
import type { AgentRow, Store, Tables } from '../../ports/store.ts'
import type { DependencyOptions } from './dependencies.ts'
import { type Intend, intendRestart, intendStart, intendStop, writeIntent, writeStart } from './intents.ts'
import { tell } from './situation.ts'

type Schedule = NonNullable<Policy['schedules']>[number]

/** The longest sleep, so that a clock that was set is noticed. */
const LONGEST_MS = 60_000
/** A time that passed longer ago was missed: the machine slept, or its clock was set. */
const LATE_MS = 60_000
const RETRY_MS = 5000
/** A last time that lies further ahead than this comes from a clock that was wrong then, and would hold up everything until it is reached. */
const AHEAD_MS = 86_400_000

/** Up to when the times of a schedule were considered, epoch ms. */
export const scheduleCursor = (agentId: string, index: number): string => `schedule:${agentId}:${index}`

export interface SchedulesOptions extends DependencyOptions {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly calendar: Calendar
  readonly wake: (agentId: string) => void
}

interface Entry {
  readonly agentId: string
  readonly index: number
  readonly schedule: Schedule
  /** Times up to here have been considered. */
  considered: number
  next: number | null
  /** `next` passed while Regent was down. */
  missed: boolean
}

/** Starts, restarts and stops agents at their times. One timer serves them all. */
export class Schedules {
  readonly #options: SchedulesOptions
  readonly #entries = new Map<string, Entry[]>()
  #cancel = (): void => {}
  #working = false
  #begun = false
  #closed = false

  constructor(options: SchedulesOptions) {
    this.#options = options
  }

  /** Takes up the schedules of all agents where the last Regent left them. To be called once. */
  async begin(): Promise<void> {
    const { read } = this.#options.store
    const now = this.#options.clock.now()
    for (const agent of await read.agents.list({})) {
      const entries: Entry[] = []
      for (const [index, schedule] of (agent.policy.schedules ?? []).entries()) {
        // Nothing is made up for from before the schedule was there.
        const considered = Math.max(await read.cursors.get(scheduleCursor(agent.id, index)), agent.updatedAt)
        entries.push(this.#entry(agent.id, index, schedule, considered > now + AHEAD_MS ? now : considered, true))
      }
      if (entries.length > 0 && !this.#entries.has(agent.id)) this.#entries.set(agent.id, entries)
    }
    this.#begun = true
    this.#arm()
  }

  /** An agent was created or changed; schedules that are as before go on. */
  update(agent: AgentRow): void {
    const known = this.#entries.get(agent.id) ?? []
    const now = this.#options.clock.now()
    const entries = (agent.policy.schedules ?? []).map((schedule, index) => {
      const same = known[index]
      return same && isSame(same.schedule, schedule) ? same : this.#entry(agent.id, index, schedule, now, false)
    })
    if (entries.length > 0) this.#entries.set(agent.id, entries)
    else this.#entries.delete(agent.id)
    if (known.length > entries.length) this.#forgetCursors(agent.id, entries.length, known.length)
    if (this.#begun) this.#arm()
  }

  forget(agentId: string): void {
    this.#entries.delete(agentId)
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  #entry(agentId: string, index: number, schedule: Schedule, considered: number, down: boolean): Entry {
    const next = this.#options.calendar.next(schedule.cron, schedule.timezone, considered)
    return { agentId, index, schedule, considered, next, missed: down && next !== null && next <= this.#options.clock.now() }
  }

  #forgetCursors(agentId: string, from: number, to: number): void {
    const { store, logger } = this.#options
    store
      .transaction(async (tables) => {
        for (let index = from; index < to; index++) await tables.cursors.delete(scheduleCursor(agentId, index))
      })
      .catch((error: unknown) => logger.warn({ agent: agentId, error: reasonOf(error) }, 'old schedules were not forgotten'))
  }

  #arm(least = 1): void {
    this.#cancel()
    if (this.#closed) return
    let first: number | undefined
    for (const entries of this.#entries.values()) {
      for (const { next } of entries) if (next !== null && (first === undefined || next < first)) first = next
    }
    if (first === undefined) return
    const left = Math.max(least, first - this.#options.clock.now())
    this.#cancel = this.#options.clock.after(Math.min(left, LONGEST_MS), () => void this.#tick())
  }

  async #tick(): Promise<void> {
    if (this.#working) return
    this.#working = true
    const now = this.#options.clock.now()
    const all = [...this.#entries.values()].flat()
    for (const entry of all) if (entry.considered > now + AHEAD_MS) this.#advance(entry, now)
    const due = all.filter(({ next }) => next !== null && next <= now)
    const done = await Promise.all(due.map((entry) => this.#consider(entry, now)))
    this.#working = false
    this.#arm(done.includes(false) ? RETRY_MS : 1)
  }

  #advance(entry: Entry, considered: number): void {
    const { cron, timezone } = entry.schedule
    entry.considered = considered
    entry.next = this.#options.calendar.next(cron, timezone, considered)
    entry.missed = false
  }

  /** Acts on a time that has come; several that passed since count as one. False: to be tried again. */
  async #consider(entry: Entry, now: number): Promise<boolean> {
    const { logger, wake } = this.#options
    const planned = entry.next ?? now
    entry.missed ||= now - planned > LATE_MS
    try {
      const woken = await this.#write(entry, planned, now)
      this.#advance(entry, Math.max(now, planned))
      for (const agentId of woken) wake(agentId)
      return true
    } catch (error) {
      logger.error(
        { agent: entry.agentId, cron: entry.schedule.cron, error: reasonOf(error) },
        'a schedule could not act; tried again soon',
      )
      return false
    }
  }

  async #write(entry: Entry, planned: number, now: number): Promise<readonly string[]> {
    const act = (tables: Tables, agent: AgentRow) =>
      entry.missed && entry.schedule.missed === 'skip'
        ? Promise.resolve({ done: 'skipped: it was missed', woken: [] })
        : this.#perform(tables, agent, entry.schedule, now)
    try {
      return await this.#record(entry, planned, now, act)
    } catch (error) {
      if (!(error instanceof RegentError) || error.code === 'NO_SPACE' || error.code === 'UNAVAILABLE') throw error
      return this.#record(entry, planned, now, async () => ({ done: `failed: ${error.message}`, woken: [] }))
    }
  }

  /** What was done, the event that tells it and the cursor are one transaction, so that no time counts twice. */
  #record(entry: Entry, planned: number, now: number, act: (tables: Tables, agent: AgentRow) => Promise<Done>): Promise<readonly string[]> {
    const { agentId, index, schedule, missed } = entry
    return this.#options.store.transaction(async (tables) => {
      const agent = await tables.agents.get(agentId)
      // Changed while this was on its way: the new schedule has its own times.
      if (!agent || agent.deleting || !isSame(agent.policy.schedules?.[index], schedule)) return []
      await tables.cursors.set(scheduleCursor(agentId, index), Math.max(now, planned))
      const { done, woken } = await act(tables, agent)
      const { cron, timezone, action } = schedule
      await tell(tables, agent, 'agent.schedule_fired', now, 'schedule', { cron, timezone, action, planned, missed, done })
      return woken
    })
  }

  async #perform(tables: Tables, agent: AgentRow, { action, cron }: Schedule, at: number): Promise<Done> {
    const life = await tables.lives.get(agent.id)
    if (!life) return { done: 'skipped: it has no life', woken: [] }
    const run = life.runId === null ? undefined : await tables.runs.get(life.runId)
    const asking = { actor: 'schedule', at, cause: `schedule ${cron}` }
    if (action !== 'start' && life.desired === 'stopped') return { done: 'skipped: it is stopped', woken: [] }
    if (action === 'stop') {
      await writeIntent(tables, agent.id, intendStop, asking)
      return { done: 'stopped', woken: [agent.id] }
    }
    const intend: Intend = action === 'start' ? intendStart : intendRestart
    if (intend(life, run?.start ?? 0).event === null) return { done: 'skipped: runs already', woken: [] }
    const { woken } = await writeStart(tables, agent, intend, asking, this.#options)
    return { done: action === 'start' ? 'started' : 'restarted', woken }
  }
}

const isSame = (one: Schedule | undefined, other: Schedule): boolean => JSON.stringify(one) === JSON.stringify(other)

interface Done {
  readonly done: string
  readonly woken: readonly string[]
}
