import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as pause } from 'node:timers/promises'
import { Crew } from './crew.ts'
import { Dice } from './dice.ts'
import { Faults } from './faults.ts'
import { Invariants, type View } from './invariants.ts'
import { kindsOf } from './kinds.ts'
import { processes, told } from './processes.ts'
import { Server } from './server.ts'
import { grown, type Size } from './sizes.ts'

export interface SoakOptions {
  readonly seconds: number
  readonly agents: number
  readonly seed: number
  readonly tell: (line: string) => void
}

export interface SoakReport {
  readonly violations: readonly string[]
  readonly counts: Readonly<Record<string, number>>
  /** Where everything lies, kept when there were violations. */
  readonly folder: string
}

/** Of the whole time, at its end: Regent itself is spared, and its size is watched. */
const CALM_SHARE = 0.4
const ANSWER_MS = 20_000
const PUMP_MS = 30_000

/** Agents of many kinds under random harm, looked at each second. Never rejects for what Regent does. */
export async function soak(options: SoakOptions): Promise<SoakReport> {
  return new Soak(options).run()
}

class Soak {
  readonly #options: SoakOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'regent-soak-'))
  readonly #mains = join(this.#folder, 'mains')
  readonly #server = new Server(this.#folder)
  readonly #dice: Dice
  readonly #crew: Crew
  readonly #faults: Faults
  readonly #invariants: Invariants
  readonly #sizes: Size[] = []
  readonly #violations: string[] = []
  #second = 0
  #workingMs = 0

  constructor(options: SoakOptions) {
    this.#options = options
    this.#dice = new Dice(options.seed)
    const working = () => this.#workingMs
    mkdirSync(this.#mains)
    this.#crew = new Crew(this.#server, this.#dice, kindsOf(options.agents), this.#mains, working)
    this.#faults = new Faults(this.#server, this.#crew, this.#dice)
    this.#invariants = new Invariants(this.#crew, this.#mains, working)
  }

  async run(): Promise<SoakReport> {
    const stopClock = this.#clock()
    try {
      await this.#server.start()
      await this.#crew.muster()
      for (this.#second = 1; this.#second <= this.#options.seconds; this.#second++) await this.#oneSecond()
      await this.#faults.settle()
      await this.#crew.settle()
      await this.#messagesAnswered()
      await this.#end()
    } catch (error) {
      this.#violate(`the soak could not go on: ${error instanceof Error ? error.stack : error}`)
    } finally {
      stopClock()
      await this.#sweep()
    }
    const counts = this.#counts()
    if (this.#violations.length === 0) rmSync(this.#folder, { recursive: true, force: true })
    return { violations: this.#violations, counts, folder: this.#folder }
  }

  /** Counts the time in which Regent can work. */
  #clock(): () => void {
    let before = performance.now()
    const timer = setInterval(() => {
      const now = performance.now()
      // A hole in our own time is no working time of Regent's.
      if (this.#server.up) this.#workingMs += Math.min(now - before, 250)
      before = now
    }, 50)
    return () => clearInterval(timer)
  }

  async #oneSecond(): Promise<void> {
    const begun = performance.now()
    const calm = this.#second > this.#options.seconds * (1 - CALM_SHARE)
    await this.#faults.second(calm)
    for (let at = 1 + this.#dice.int(5); at > 0; at--) this.#crew.command()
    if (this.#second % 3 === 0) this.#crew.message()
    this.#invariants.look(await this.#views())
    for (const violation of this.#invariants.violations.splice(0)) this.#violate(violation)
    for (const complaint of this.#crew.complaints.splice(0)) this.#violate(complaint)
    for (const death of this.#server.deaths.splice(0)) this.#violate(`Regent ended by itself: ${death}`)
    const size = calm && this.#server.age > 10_000 ? this.#server.size() : undefined
    if (size) this.#sizes.push(size)
    await pause(Math.max(0, 1000 - (performance.now() - begun)))
  }

  async #views(): Promise<View[] | undefined> {
    try {
      const { status, body } = await this.#server.call('GET', '/api/v1/agents?limit=500')
      return status === 200 ? (body.agents as View[]) : undefined
    } catch {
      return undefined
    }
  }

  /** Every message that was accepted is worked through or given up with a reason. */
  async #messagesAnswered(): Promise<void> {
    const until = performance.now() + ANSWER_MS
    let open = [...this.#crew.messages]
    while (open.length > 0 && performance.now() < until) {
      const states = await Promise.all(open.map(async (id) => (await this.#server.call('GET', `/api/v1/messages/${id}`)).body))
      open = open.filter(
        (_, at) => !['acknowledged', 'dead'].includes((states[at]?.message as { state?: string } | undefined)?.state ?? ''),
      )
      if (open.length > 0) await pause(200)
    }
    if (open.length > 0) this.#violate(`${open.length} accepted messages are not worked through, the first is ${open[0]}`)
  }

  /** Everything is stopped: nothing is left, and the database is sound. */
  async #end(): Promise<void> {
    const growth = grown(this.#sizes)
    if (growth) this.#violate(growth)
    await this.#crew.dismiss()
    for (const complaint of this.#crew.complaints.splice(0)) this.#violate(complaint)
    const left = await this.#leftAfter(10_000)
    for (const words of left) this.#violate(`left alive after the final stop: ${words}`)
    await this.#server.end('SIGTERM')
    const database = new DatabaseSync(join(this.#server.home, 'regent.db'), { readOnly: true })
    const sound = database.prepare('pragma integrity_check').all()
    database.close()
    if (JSON.stringify(sound) !== '[{"integrity_check":"ok"}]') this.#violate(`the database is not sound: ${JSON.stringify(sound)}`)
    // The log pump waits a while for the next run before it goes.
    for (const words of await this.#leftAfter(PUMP_MS, true)) this.#violate(`left alive after Regent ended: ${words}`)
  }

  /** What bears a mark of ours, and with `all` what only has our folder in its command line. */
  #ours(all: boolean) {
    return processes().filter(
      (one) =>
        (one.agentId !== undefined && this.#crew.known.has(one.agentId)) ||
        (all && one.pid !== process.pid && one.words.includes(this.#folder)),
    )
  }

  async #leftAfter(ms: number, all = false): Promise<string[]> {
    const until = performance.now() + ms
    while (this.#ours(all).length > 0 && performance.now() < until) await pause(200)
    return this.#ours(all).map(told)
  }

  /** Whatever happened, nothing of ours outlives the soak. */
  async #sweep(): Promise<void> {
    await this.#server.end('SIGKILL')
    for (let round = 0; round < 10 && this.#ours(true).length > 0; round++) {
      for (const { pid } of this.#ours(true)) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It is gone already.
        }
      }
      await pause(100)
    }
  }

  #violate(words: string): void {
    this.#violations.push(words)
    const { seed, tell } = this.#options
    tell(`VIOLATION in second ${this.#second}, seed ${seed}: ${words}`)
  }

  #counts(): Record<string, number> {
    return {
      seconds: this.#second - 1,
      agents: this.#crew.slots.length,
      commands: this.#crew.commands,
      'commands sent again': this.#crew.repeats,
      messages: this.#crew.messages.length,
      runs: this.#runs(),
      ...Object.fromEntries(this.#faults.done),
      'slowest start of Regent, ms': Math.round(Math.max(...this.#server.starts, 0)),
      'memory of Regent, MiB': Math.round(this.#sizes.at(-1)?.mib ?? 0),
      'descriptors of Regent': this.#sizes.at(-1)?.descriptors ?? 0,
    }
  }

  #runs(): number {
    try {
      return [...this.#crew.known].reduce((sum, id) => sum + linesIn(join(this.#mains, id)), 0)
    } catch {
      return 0
    }
  }
}

function linesIn(file: string): number {
  try {
    return readFileSync(file, 'utf8').split('\n').length - 1
  } catch {
    return 0
  }
}
