import { setTimeout as pause } from 'node:timers/promises'
import type { EventType } from '../../../contract/events.ts'
import type { RaceView } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { isInterrupt } from '../failure.ts'
import { layout } from '../output/table.ts'
import { Connection } from './connection.ts'
import { attemptColumns, attemptLine, isRaceOver, raceHeadline } from './races.ts'

/** What changes a line. */
const interesting: readonly EventType[] = [
  ...(['worker.started', 'worker.limited', 'worker.completed', 'worker.failed', 'worker.cancelled'] as const),
  ...(['approval.requested', 'approval.answered', 'race.judged', 'race.decided', 'race.failed', 'race.cancelled'] as const),
]
/** Many events at once are one look. */
const CALM_MS = 200
/** Times of attempts grow, and an event may be missed. */
const REFRESH_MS = 5000

/** Shows each attempt of a race until it is decided, over restarts of Regent. Answers how it came out. */
export async function followRace(cli: Cli, first: RaceView): Promise<RaceView> {
  const connection = new Connection(cli)
  const board = canBeRedrawn(cli, first) ? new LiveBoard(cli) : new LineBoard(cli)
  const over = new AbortController()
  const changes = new Changes(cli, AbortSignal.any([cli.signal, over.signal]))
  try {
    await connection.call('system.status', {})
    let race = first
    for (;;) {
      race = await connection.call('races.get', { race: race.id })
      board.show(race)
      if (isRaceOver(race)) return race
      await changes.next()
      cli.signal.throwIfAborted()
    }
  } finally {
    over.abort()
  }
}

/** Lines that have left the screen are out of reach. */
function canBeRedrawn(cli: Cli, { attempts }: RaceView): boolean {
  const { columns, rows } = process.stderr
  return cli.terminal.isInteractive && columns > 0 && (rows || 24) > attempts.length + 3
}

/** Resolves at each event that may change what is shown. */
class Changes {
  readonly #signal: AbortSignal
  #changed = Promise.withResolvers<void>()

  constructor(cli: Cli, signal: AbortSignal) {
    this.#signal = signal
    void this.#watch(cli)
  }

  async next(): Promise<void> {
    const late = pause(REFRESH_MS, undefined, { signal: this.#signal, ref: true })
    await Promise.race([this.#changed.promise, late.catch(quietly)])
    await pause(CALM_MS, undefined, { signal: this.#signal }).catch(quietly)
    this.#changed = Promise.withResolvers<void>()
  }

  async #watch(cli: Cli): Promise<void> {
    try {
      const client = await cli.client()
      const { newest_event } = await client.call('system.status', {}, { signal: this.#signal })
      const options = { signal: this.#signal, lastEventId: String(newest_event) }
      for await (const _ of client.open('events.stream', { types: [...interesting] }, options)) this.#changed.resolve()
    } catch {
      // Without events it is looked at again and again.
    }
  }
}

function quietly(error: unknown): void {
  if (!isInterrupt(error)) throw error
}

interface Board {
  show(race: RaceView): void
}

/** A line whenever an attempt has changed, for logs and pipes. */
class LineBoard implements Board {
  readonly #cli: Cli
  readonly #shown = new Map<string, string>()

  constructor(cli: Cli) {
    this.#cli = cli
  }

  show({ attempts }: RaceView): void {
    for (const attempt of attempts) {
      const line = attemptLine(attempt, this.#cli.terminal.paintErr)
      if (this.#shown.get(attempt.worker.id) !== line) this.#cli.note(line)
      this.#shown.set(attempt.worker.id, line)
    }
  }
}

/** The same lines, written over again on a terminal. */
class LiveBoard implements Board {
  readonly #cli: Cli
  #height = 0

  constructor(cli: Cli) {
    this.#cli = cli
  }

  show(race: RaceView): void {
    const { paintErr } = this.#cli.terminal
    const width = process.stderr.columns || 80
    const lines = [raceHeadline(race, paintErr), ...layout(race.attempts, attemptColumns, width, paintErr)]
    const back = this.#height === 0 ? '' : `\x1b[${this.#height}A`
    process.stderr.write(`${back}${lines.map((line) => `\r${line}\x1b[K\n`).join('')}`)
    this.#height = lines.length
  }
}
