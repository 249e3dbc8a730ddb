import type { Clock } from '../../kernel/clock.ts'
import type { LifeRow } from '../../ports/store.ts'
import type { RestartLimit } from './restart-limit.ts'

/** The longest delay there is. */
const LONGEST_MS = 72_000

/** When one agent is started again after a death: once its delay is over, and its turn among the automatic restarts of all agents came. */
export class Backoff {
  readonly #clock: Clock
  readonly #restarts: RestartLimit
  #retryElapsed: number | undefined
  /** When its turn comes, once it has one. */
  #turnElapsed: number | undefined

  constructor({ clock, restarts }: { readonly clock: Clock; readonly restarts: RestartLimit }) {
    this.#clock = clock
    this.#restarts = restarts
  }

  /** A run is over, and another follows after so many ms; undefined: none does. */
  begin(delayMs: number | undefined): void {
    this.#retryElapsed = delayMs === undefined ? undefined : this.#clock.elapsed() + delayMs
  }

  /** The next run is there; its turn is used up, or given back where it was asked for. */
  end(fresh: boolean): void {
    if (fresh) this.dropTurn()
    this.#turnElapsed = undefined
    this.#retryElapsed = undefined
  }

  /** Whether it may be started now. Those that callers asked for need no turn. */
  isOver(life: LifeRow): boolean {
    if (life.state !== 'BACKOFF') return true
    return this.#delayLeft(life) <= 0 && (life.desired === 'stopped' || this.takeTurn())
  }

  /** ms until it may be started. */
  left(life: LifeRow): number {
    return Math.max(this.#delayLeft(life), (this.#turnElapsed ?? 0) - this.#clock.elapsed())
  }

  /** Gets in line, once; whether its turn has come. */
  takeTurn(): boolean {
    const now = this.#clock.elapsed()
    this.#turnElapsed ??= now + this.#restarts.reserve()
    return this.#turnElapsed <= now
  }

  dropTurn(): void {
    if (this.#turnElapsed !== undefined) this.#restarts.giveBack()
    this.#turnElapsed = undefined
  }

  /** From the record only where this process did not see it begin. */
  #delayLeft(life: LifeRow): number {
    if (life.state !== 'BACKOFF') return 0
    this.#retryElapsed ??= this.#clock.elapsed() + Math.min(LONGEST_MS, Math.max(0, (life.retryAt ?? 0) - this.#clock.now()))
    return this.#retryElapsed - this.#clock.elapsed()
  }
}
