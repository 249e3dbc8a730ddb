import type { Probe } from '../../contract/policy.ts'
import type { Clock } from '../../kernel/clock.ts'
import type { ProbeOutcome } from '../../ports/prober.ts'
import type { Slots } from './slots.ts'

/** By how much time may be longer than planned until it counts as time in which Regent itself did not run. */
const LATE_MS = 500
/** After its deadline, a turn of the event loop for an answer that is there already. */
const LAST_TURN_MS = 20
/** First wait after a look that told nothing, and between the first two; each further one doubles it, up to the interval. */
const SOON_MS = 1000
/** One for all: an error is costly to make. */
const lookIsOver = new Error('the look is over')

/** undefined: it cannot be told now, which is neither good nor bad. */
export type Look = (signal: AbortSignal) => Promise<ProbeOutcome | undefined>

export interface ProbeLoopOptions {
  readonly clock: Clock
  /** In [0,1). */
  readonly random: () => number
  readonly timing: Pick<Probe, 'interval' | 'timeout' | 'failures' | 'successes' | 'delay'>
  readonly look: Look
  /** A look that costs something waits for its slot first; that is not yet the time that it may take. */
  readonly slots?: Slots | undefined
  /** What is said where no answer came in time. */
  readonly silence: string
  /** Called when it becomes well or unwell, the first time included. */
  readonly onVerdict: (well: boolean, message: string) => void
}

/** Looks at one run again and again, one look after the other, and makes up its mind by rows of equal outcomes. */
export class ProbeLoop {
  readonly #options: ProbeLoopOptions
  /** Equal outcomes in a row: good ones above 0, bad ones below. */
  #row = 0
  #well: boolean | undefined
  #looks = 0
  #untold = 0
  #over: AbortController | undefined
  #cancel = (): void => {}
  #closed = false

  constructor(options: ProbeLoopOptions) {
    this.#options = options
  }

  /** `ageMs`: how long the run has lived. */
  start(ageMs: number): void {
    const { timing, random } = this.#options
    const delay = Math.max(0, timing.delay * 1000 - ageMs)
    // Agents that start at once must not be looked at in one tick.
    this.#next(delay + random() * Math.min(timing.interval * 1000, SOON_MS))
  }

  close(): void {
    this.#closed = true
    this.#cancel()
    this.#over?.abort(lookIsOver)
  }

  #next(ms: number): void {
    this.#cancel = this.#options.clock.after(Math.max(10, ms), () => void this.#turn())
  }

  async #turn(): Promise<void> {
    const { clock, slots } = this.#options
    const begun = clock.elapsed()
    const look = () => (this.#closed ? Promise.resolve(undefined) : this.#look())
    const outcome = await (slots ? slots.hold(look) : look())
    if (this.#closed) return
    if (outcome) this.#take(outcome)
    this.#untold = outcome ? 0 : this.#untold + 1
    this.#looks++
    if (!this.#closed) this.#next(outcome ? this.#gap() - (clock.elapsed() - begun) : this.#soon())
  }

  /** Within the time limit, and nothing where Regent itself stood still meanwhile: what it missed then says nothing of the agent. */
  async #look(): Promise<ProbeOutcome | undefined> {
    const { clock, timing, look, silence } = this.#options
    const limitMs = timing.timeout * 1000
    const over = new AbortController()
    this.#over = over
    const [began, wall] = [clock.elapsed(), clock.now()]
    let cancel = (): void => {}
    const late = new Promise<ProbeOutcome>((resolve) => {
      cancel = clock.after(limitMs, () => {
        cancel = clock.after(LAST_TURN_MS, () => resolve({ ok: false, message: silence }))
      })
    })
    const outcome = await Promise.race([look(over.signal), late]).catch(() => undefined)
    cancel()
    over.abort(lookIsOver)
    const took = clock.elapsed() - began
    const stoodStill = took > limitMs + LATE_MS || clock.now() - wall - took > LATE_MS
    return outcome?.ok === false && stoodStill ? undefined : outcome
  }

  /** Evens out, over the first rounds, what was started at once. */
  #gap(): number {
    const { timing, random } = this.#options
    return timing.interval * 1000 * (this.#looks === 1 ? 0.5 + random() / 2 : 0.95 + random() / 10)
  }

  #soon(): number {
    return Math.min(this.#options.timing.interval * 1000, SOON_MS * 2 ** Math.min(this.#untold - 1, 10))
  }

  #take({ ok, message }: ProbeOutcome): void {
    const { timing, onVerdict } = this.#options
    this.#row = ok ? Math.max(1, this.#row + 1) : Math.min(-1, this.#row - 1)
    if (ok && this.#well !== true && this.#row >= timing.successes) {
      this.#well = true
      onVerdict(true, message)
    } else if (!ok && this.#well !== false && -this.#row >= timing.failures) {
      this.#well = false
      onVerdict(false, timing.failures === 1 ? message : `${message} (${timing.failures} times in a row)`)
    }
  }
}
