import type { Clock } from '../../kernel/clock.ts'
import { Fault } from './faults.ts'
import { REGENT } from './programs.ts'

/** What may be done with Regent itself, once the answer to whoever asked is out. */
export interface SelfControl {
  /** Ends Regent; agents live on. */
  shutdown(): void
  /** Ends it in order and becomes a new one: same process, same arguments. */
  restart(): void
}

/** supervisorctl restarts a program by two calls, a stop and a start. */
const SECOND_CALL_MS = 2000

/** Regent as the program `agent_manager`: a stop ends it, unless a start follows at once; then it is restarted. */
export class Self {
  readonly #clock: Clock
  readonly #control: SelfControl
  #cancel: (() => void) | undefined

  constructor(clock: Clock, control: SelfControl) {
    this.#clock = clock
    this.#control = control
  }

  get stopping(): boolean {
    return this.#cancel !== undefined
  }

  stop(): void {
    if (this.#cancel) throw new Fault('NOT_RUNNING', REGENT)
    this.#cancel = this.#clock.after(SECOND_CALL_MS, () => this.#control.shutdown())
  }

  /** `answered` runs what it is given once the answer is out. */
  start(answered: (act: () => void) => void): void {
    if (!this.#cancel) throw new Fault('ALREADY_STARTED', REGENT)
    this.#cancel()
    answered(() => this.#control.restart())
  }

  restart(answered: (act: () => void) => void): void {
    this.#cancel?.()
    answered(() => this.#control.restart())
  }

  shutdown(answered: (act: () => void) => void): void {
    this.#cancel?.()
    answered(() => this.#control.shutdown())
  }
}
