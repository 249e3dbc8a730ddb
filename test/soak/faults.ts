import type { Crew } from './crew.ts'
import type { Dice } from './dice.ts'
import { type Process, processes } from './processes.ts'
import type { Server } from './server.ts'

export type Fault = 'kill Regent' | 'freeze Regent' | 'kill an agent' | 'kill a child' | 'kill a wrapper' | 'kill the log pump'

/** Does harm. What runs is found by looking at /proc, so it does not matter by which programs runs are kept. */
export class Faults {
  readonly done = new Map<Fault, number>()
  readonly #server: Server
  readonly #crew: Crew
  readonly #dice: Dice
  #under: Promise<void> | undefined

  constructor(server: Server, crew: Crew, dice: Dice) {
    this.#server = server
    this.#crew = crew
    this.#dice = dice
  }

  /** One second's worth. In a `calm` time Regent itself is spared. */
  async second(calm: boolean): Promise<void> {
    const roll = this.#dice.next()
    if (!calm && !this.#under && roll < 0.18) this.#under = this.#killRegent()
    else if (!calm && !this.#under && roll < 0.26) this.#under = this.#freeze()
    for (let at = this.#dice.int(3); at > 0; at--) this.#killSomething()
  }

  /** Until Regent is up again. */
  async settle(): Promise<void> {
    await this.#under
  }

  #killRegent(): Promise<void> {
    this.#count('kill Regent')
    return this.#server
      .end('SIGKILL')
      .then(() => this.#server.start())
      .finally(() => {
        this.#under = undefined
      })
  }

  #freeze(): Promise<void> {
    this.#count('freeze Regent')
    return this.#server.freeze(500 + this.#dice.int(2500)).finally(() => {
      this.#under = undefined
    })
  }

  #killSomething(): void {
    const all = processes()
    const marked = all.filter((one) => one.agentId !== undefined && this.#crew.known.has(one.agentId))
    const pids = new Set(marked.map((one) => one.pid))
    const mains = marked.filter((one) => !pids.has(one.parent) && one.parent > 1)
    const parents = new Set(mains.map((one) => one.parent))
    const wrappers = all.filter(
      (one) => parents.has(one.pid) && one.pid !== this.#server.pid && /(^|\/)(sh|dash|bash|busybox)( |$)/.test(one.words),
    )
    const pumps = all.filter((one) => !pids.has(one.pid) && /pump/.test(one.words) && one.words.includes(this.#server.home))
    const roll = this.#dice.next()
    if (roll < 0.6) this.#kill('kill an agent', mains)
    else if (roll < 0.8)
      this.#kill(
        'kill a child',
        marked.filter((one) => pids.has(one.parent)),
      )
    else if (roll < 0.95) this.#kill('kill a wrapper', wrappers)
    else this.#kill('kill the log pump', pumps)
  }

  #kill(fault: Fault, among: readonly Process[]): void {
    const victim = this.#dice.pick(among)
    if (!victim) return
    try {
      process.kill(victim.pid, 'SIGKILL')
      this.#count(fault)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }

  #count(fault: Fault): void {
    this.done.set(fault, (this.done.get(fault) ?? 0) + 1)
  }
}
