import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Crew, Slot } from './crew.ts'
import { type Process, processes, processOf, told } from './processes.ts'

/** An agent as the API shows it. */
export interface View {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly reason: string
  readonly run_id: string | null
}

/** ms of Regent's working time after which a command must be done, and a process that belongs to no run must be gone. */
const DONE_MS = 20_000
const SETTLE_MS = 15_000

const live = ['STARTING', 'RUNNING', 'STOPPING', 'UNKNOWN']

/** What must hold at every moment. Each violation is told once. */
export class Invariants {
  readonly violations: string[] = []
  readonly #crew: Crew
  readonly #mains: string
  readonly #workingMs: () => number
  /** When a process was first seen that belongs to no live run, by pid and start time. */
  readonly #strays = new Map<string, number>()
  readonly #told = new Set<string>()

  constructor(crew: Crew, mains: string, workingMs: () => number) {
    this.#crew = crew
    this.#mains = mains
    this.#workingMs = workingMs
  }

  /** `views` are undefined while Regent does not answer. */
  look(views: readonly View[] | undefined): void {
    this.#duplicates()
    if (!views) return
    const byId = new Map(views.map((view) => [view.id, view]))
    this.#overdue(byId)
    this.#strangers(byId)
  }

  /** No two main processes of one agent are alive at one moment. */
  #duplicates(): void {
    for (const agentId of readdirSync(this.#mains)) {
      const lines = readFileSync(join(this.#mains, agentId), 'utf8').trim().split('\n').slice(-20)
      const alive = () =>
        lines.flatMap((line) => {
          const [pid, runId] = line.split(' ')
          const found = processOf(Number(pid))
          return found?.runId === runId && found?.agentId === agentId ? [found] : []
        })
      // The second look shows whether those of the first were there at the same time.
      if (alive().length > 1) {
        const both = alive()
        if (both.length > 1)
          this.#tell(`duplicate ${agentId} ${both.map((one) => one.pid)}`, `two runs of one agent: ${both.map(told).join(' | ')}`)
      }
    }
  }

  /** Every accepted command has had its effect within its time. */
  #overdue(byId: ReadonlyMap<string, View>): void {
    for (const slot of this.#crew.slots) {
      if (slot.since === 0 || slot.id === undefined || this.#workingMs() - slot.since < DONE_MS) continue
      const view = byId.get(slot.id)
      if (!isDone(slot, view))
        this.#tell(
          `overdue ${slot.id} ${slot.last} ${slot.since}`,
          `${slot.last} ${slot.name} (${slot.id}) was accepted ${Math.round((this.#workingMs() - slot.since) / 1000)} s ago; it is ${view ? `${view.state}: ${view.reason}` : 'gone'}`,
        )
    }
  }

  /** No process bears the mark of a run that is over. */
  #strangers(byId: ReadonlyMap<string, View>): void {
    const now = this.#workingMs()
    const seen = new Set<string>()
    for (const one of processes()) {
      if (one.agentId === undefined || !this.#crew.known.has(one.agentId) || this.#belongs(one, byId)) continue
      const key = `${one.pid} ${one.start}`
      seen.add(key)
      const since = this.#strays.get(key) ?? now
      this.#strays.set(key, since)
      const view = byId.get(one.agentId)
      if (now - since > SETTLE_MS)
        this.#tell(
          `stray ${key}`,
          `a process of no live run: ${told(one)}; its agent is ${view ? `${view.state} in run ${view.run_id}: ${view.reason}` : 'gone'}`,
        )
    }
    for (const key of this.#strays.keys()) if (!seen.has(key)) this.#strays.delete(key)
  }

  /** What a program leaves behind that ended by itself may live on until it is started anew or stopped. */
  #belongs({ agentId, runId }: Process, byId: ReadonlyMap<string, View>): boolean {
    const view = agentId === undefined ? undefined : byId.get(agentId)
    if (!view) return false
    if (live.includes(view.state)) return view.run_id === runId
    return view.state !== 'STOPPED'
  }

  #tell(key: string, words: string): void {
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.violations.push(words)
  }
}

function isDone({ wanted, kind }: Slot, view: View | undefined): boolean {
  if (wanted === 'gone') return view === undefined
  if (!view) return false
  if (wanted === 'stopped') return view.state === 'STOPPED'
  // After the harm that is done here, waiting for a restart is as good as running.
  return ['RUNNING', 'STARTING', 'BACKOFF'].includes(view.state) || (kind === 'crasher' && ['EXITED', 'FATAL'].includes(view.state))
}
