import type { Client } from '../../client/client.ts'
import type { Output } from '../../contract/operations.ts'
import { runStates } from '../../contract/states.ts'
import { stateColour } from './agents.ts'
import type { Paint } from './output/terminal.ts'
import { clean, timeOf } from './output/text.ts'

export type Timeline = Output<'agents.timeline'>

const PAGE = 500

/** The last `most` entries of an agent's timeline, page by page. */
export async function readTimeline(client: Client, agent: string, most: number, signal: AbortSignal): Promise<Timeline> {
  const page = (before?: number, limit = Math.min(PAGE, Math.max(1, most))) =>
    client.call('agents.timeline', { agent, limit, ...(before !== undefined && { before }) }, { signal })
  const newest = await page()
  const entries = most === 0 ? [] : [...newest.entries]
  let full = newest.entries.length === PAGE
  while (full && entries.length < most) {
    const limit = Math.min(PAGE, most - entries.length)
    const earlier = (await page(entries[0]?.number, limit)).entries
    entries.unshift(...earlier)
    full = earlier.length === PAGE
  }
  return { ...newest, entries }
}

/** `14:03:21  BACKOFF   exited with code 1; restarted in 2.0 s` */
export function timelineLines({ entries }: Pick<Timeline, 'entries'>, paint: Paint): string[] {
  const width = Math.max(...runStates.map((state) => state.length))
  return entries.map(({ at, state, text }) => {
    const shown = (state ?? '').padEnd(width)
    const known = runStates.find((one) => one === state)
    return `  ${paint('dim', timeOf(at))}  ${known ? paint(stateColour(known), shown) : shown}  ${clean(text)}`
  })
}
