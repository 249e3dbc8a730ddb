import { setTimeout as pause } from 'node:timers/promises'
import type { GivenInput } from '../../client/client.ts'
import type { Output } from '../../contract/operations.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Cli } from './cli.ts'

export type Line = Output<'logs.stream'>
export type LogInput = GivenInput<'logs.stream'>

/** A Regent that cannot be reached for this long is given up. */
const PATIENCE_MS = 120_000
/** How far behind the newest line others may still be on their way. */
const SLACK_MS = 2000
/** All of them. */
const ALL_LINES = 1_000_000

interface Position {
  readonly at: number
  /** Lines of that very time. */
  count: number
}

/** Which lines were received, so that a second reading gives each of the others once. */
export class Received {
  readonly #last = new Map<string, Position>()
  #known = new Map<string, Position>()
  #newest: number | undefined
  #timeless = false

  /** False for a line of an earlier reading. */
  take({ agent_id, at }: Line): boolean {
    if (at === null) {
      this.#timeless = true
      return true
    }
    if (this.#isKnown(agent_id, at)) return false
    const last = this.#last.get(agent_id)
    if (last?.at === at) last.count++
    else this.#last.set(agent_id, { at, count: 1 })
    this.#newest = Math.max(this.#newest ?? at, at)
    return true
  }

  #isKnown(agentId: string, at: number): boolean {
    const known = this.#known.get(agentId)
    if (!known || at > known.at) {
      // From here on it is live: times that jump back with the clock count again.
      this.#known.delete(agentId)
      return false
    }
    if (at < known.at) return true
    known.count--
    return known.count >= 0
  }

  /** What to ask for to go on. */
  resume(input: LogInput): LogInput {
    this.#known = new Map([...this.#last].map(([agentId, position]) => [agentId, { ...position }]))
    if (this.#newest !== undefined) return { ...input, since: Math.floor(this.#newest) - SLACK_MS, tail: ALL_LINES }
    return this.#timeless ? { ...input, tail: 0 } : { ...input, tail: ALL_LINES }
  }
}

/**
 * Lines as they are printed, over restarts of Regent: each once. To be asked after the server has answered once: one that is not there
 * at all is waited for like one that restarts. Ends when the agents are gone, or by Ctrl-C.
 */
export async function* followLines(cli: Cli, input: LogInput, received: Received, isFirst = true): AsyncGenerator<Line> {
  let lostAt: number | undefined
  let ask = isFirst ? input : received.resume(input)
  for (let attempt = 0; ; attempt++) {
    try {
      const client = await cli.client()
      for await (const line of client.open('logs.stream', { ...ask, follow: true }, { signal: cli.signal })) {
        lostAt = undefined
        attempt = 0
        if (received.take(line)) yield line
      }
      return
    } catch (error) {
      if (cli.signal.aborted) return
      if (!(error instanceof RegentError) || error.code !== 'UNAVAILABLE') throw error
      if (lostAt === undefined) cli.note('the connection to Regent is lost; this goes on when it is back')
      lostAt ??= performance.now()
      if (performance.now() - lostAt > PATIENCE_MS) throw error
      ask = received.resume(input)
      await pause(Math.min(5000, 250 * 2 ** Math.min(attempt, 5)), undefined, { signal: cli.signal }).catch(() => {})
    }
  }
}
