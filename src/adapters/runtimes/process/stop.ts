import type { Exit } from '../../../ports/runtime.ts'
import { isAlive, isStill, signalExactly, statOf, worksFor } from './identity.ts'
import type { ProcessStat } from './proc.ts'
import { type ProcessTree, writersTo } from './process-tree.ts'
import type { Reach } from './reach.ts'
import type { PidRecord, RunDirectory } from './run-directory.ts'

export interface StopTarget {
  readonly directory: RunDirectory
  readonly record: PidRecord | null
  readonly tree: ProcessTree
  readonly reach: Reach
  readonly clock: { elapsed(): number; sleep(ms: number): Promise<void> }
  /** Makes the run look at its records. */
  readonly look: () => void
  readonly exited: Promise<Exit>
}

export interface StopOptions {
  readonly signal: NodeJS.Signals
  readonly graceMs: number
}

/** How long KILL is repeated before what is left counts as a survivor. */
const KILL_MS = 2000
const POLL_MS = { first: 5, last: 100 } as const

/** One stop of one run: the signal, the grace, then KILL until two looks in a row find nothing. */
export class Stop {
  /** Resolves when the main process is gone; names what could not be ended. */
  readonly survivors: Promise<readonly number[]>
  readonly #target: StopTarget
  /** Every process ever seen to be of this run. */
  readonly #known = new Map<string, ProcessStat>()
  /** Read while the wrapper is there, where it is. */
  readonly #pipes: readonly string[]
  #signal: NodeJS.Signals
  #deadline: number
  #hardened = Promise.withResolvers<void>()

  constructor(target: StopTarget, options: StopOptions) {
    this.#target = target
    this.#pipes = target.directory.outputPipes(target.record)
    this.#signal = options.signal
    this.#deadline = target.clock.elapsed() + options.graceMs
    const main = target.record && isAlive(target.record) ? statOf(target.record.pid) : undefined
    if (main) this.#know([main])
    this.survivors = this.#run()
  }

  /** KILL ends the grace; another signal is passed on and may only shorten it. */
  harden(options: StopOptions): void {
    const deadline = options.signal === 'SIGKILL' ? 0 : this.#target.clock.elapsed() + options.graceMs
    this.#deadline = Math.min(this.#deadline, deadline)
    if (options.signal !== this.#signal && options.signal !== 'SIGKILL') this.#send(options.signal)
    this.#signal = options.signal
    this.#hardened.resolve()
    this.#hardened = Promise.withResolvers()
  }

  async #run(): Promise<readonly number[]> {
    // Of a run whose main process is gone only the marks tell what is left.
    const gone = this.#known.size === 0
    const found = await this.#find(gone)
    if (this.#signal !== 'SIGKILL') {
      if (!gone) await this.#ready()
      this.#send(this.#signal)
      await this.#grace()
    }
    await this.#killAll(gone && found.length === 0 ? 1 : 0)
    await this.#target.exited
    if (this.#target.reach.byOutput) await this.#killWriters()
    return this.#left().map(({ pid }) => pid)
  }

  async #ready(): Promise<void> {
    const { reach } = this.#target
    if (!reach.ready) return
    await Promise.race([reach.ready(), this.#hardened.promise])
    await this.#find(false)
  }

  /** Waits for everything known to end, at most until the deadline. */
  async #grace(): Promise<void> {
    const { clock, exited, look, record, reach } = this.#target
    let pause: number = POLL_MS.first
    for (let left = this.#reached(); left.length > 0 && this.#rest() > 0; left = this.#reached()) {
      const waits = [clock.sleep(Math.min(pause, this.#rest())), this.#hardened.promise]
      await Promise.race(left.some(({ pid }) => pid === record?.pid) ? [...waits, exited] : waits)
      pause = Math.min(pause * 2, POLL_MS.last)
      look()
      if (reach.killAll) await this.#find(false)
    }
  }

  /** KILL until two looks in a row, `empty` ones included, find nothing, or the time for it is over. */
  async #killAll(empty: number): Promise<void> {
    const { clock, look } = this.#target
    const until = clock.elapsed() + KILL_MS
    while (empty < 2) {
      const found = await this.#find(true)
      empty = found.length === 0 ? empty + 1 : 0
      if (found.length > 0) {
        this.#kill(found)
        await clock.sleep(POLL_MS.first)
        look()
        if (clock.elapsed() > until) return
      }
    }
    look()
  }

  /** Whoever still has the run's own output pipes was started by it, whatever it did with its session and environment. */
  async #killWriters(): Promise<void> {
    const { clock, directory, tree } = this.#target
    for (let round = 0; round < 20 && !directory.outputEnded(); round += 1) {
      const pipes = new Set([...this.#pipes, ...directory.outputPipes(this.#target.record)])
      if (round > 0 && pipes.size > 0) {
        const writers = writersTo(pipes, await tree.stats()).filter((stat) => !worksFor(stat.pid, directory.path))
        this.#know(writers)
        for (const writer of writers) signalExactly(writer, 'SIGKILL')
      }
      await clock.sleep(POLL_MS.first)
    }
  }

  async #find(marks: boolean): Promise<ProcessStat[]> {
    const { reach } = this.#target
    const found = await reach.find(this.#known.values(), marks)
    this.#know(found)
    return reach.spares ? found.filter((stat) => !reach.spares?.(stat)) : found
  }

  #kill(found: readonly ProcessStat[]): void {
    const { reach } = this.#target
    if (reach.killAll) reach.killAll()
    else this.#send('SIGKILL', found)
  }

  /** To the group in one call while its number is surely still ours, and to each process outside it. */
  #send(signal: NodeJS.Signals, those: readonly ProcessStat[] = this.#reached()): void {
    const { deaf } = this.#target.reach
    if (deaf && signal !== 'SIGKILL') {
      for (const stat of those) if (!deaf(stat)) signalExactly(stat, signal)
      this.#wake(those)
    } else this.#sendTogether(signal, those)
  }

  #sendTogether(signal: NodeJS.Signals, to: readonly ProcessStat[]): void {
    const main = this.#target.record?.pid ?? 0
    const group = to.filter((stat) => stat.group === main)
    const sent = group.some((stat) => signalExactly(stat, signal, main))
    for (const stat of sent ? to.filter((other) => other.group !== main) : to) signalExactly(stat, signal)
    if (signal !== 'SIGKILL') this.#wake(to)
  }

  /** Stopped ones, so that they can obey. */
  #wake(stats: readonly ProcessStat[]): void {
    for (const stat of stats) if (statOf(stat.pid)?.state === 'T') signalExactly(stat, 'SIGCONT')
  }

  #know(stats: Iterable<ProcessStat>): void {
    for (const stat of stats) this.#known.set(`${stat.pid} ${stat.startTime}`, stat)
  }

  #left(): ProcessStat[] {
    return [...this.#known.values()].filter(isStill)
  }

  /** Those left that it may signal. */
  #reached(): ProcessStat[] {
    const { spares } = this.#target.reach
    return spares ? this.#left().filter((stat) => !spares(stat)) : this.#left()
  }

  #rest(): number {
    return this.#deadline - this.#target.clock.elapsed()
  }
}
