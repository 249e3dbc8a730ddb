import type { Clock } from '../../../kernel/clock.ts'

const LATER_MS = 50

/** Tidying up that nobody waits for: done a moment later, so that it stands in the way of no restart. */
export class Later {
  readonly #clock: Pick<Clock, 'after'>
  #works: (() => void)[] = []
  #cancel: (() => void) | undefined

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock
  }

  /** `work` must not throw. */
  do(work: () => void): void {
    this.#works.push(work)
    this.#cancel ??= this.#clock.after(LATER_MS, () => this.close())
  }

  /** Does now what is still to be done. */
  close(): void {
    this.#cancel?.()
    this.#cancel = undefined
    for (const work of this.#works.splice(0)) work()
  }
}
