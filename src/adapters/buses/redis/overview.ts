import type { Connection } from './connection.ts'
import { groupsOf, listOf } from './replies.ts'

const MOST_TOPICS = 1000
const SCAN_COUNT = '1000'
/** A Redis may hold much else: the search ends after so many pages. */
const MOST_PAGES = 2000
const OWN = 'regent:'

export interface TopicView {
  readonly name: string
  readonly subscribers: number | null
  readonly waiting: number | null
}

/** The streams of this Redis and those of `known` topics that have none yet. */
export async function overview(main: Connection, known: Iterable<string>): Promise<TopicView[]> {
  const names = new Set(known)
  let cursor = '0'
  for (let page = 0; page < MOST_PAGES && names.size < MOST_TOPICS; page++) {
    const [next, keys] = listOf(await main.send(undefined, ['SCAN', cursor, 'COUNT', SCAN_COUNT, 'TYPE', 'stream']))
    for (const key of listOf(keys).map(String)) if (!key.startsWith(OWN) && names.size < MOST_TOPICS) names.add(key)
    cursor = String(next)
    if (cursor === '0') break
  }
  const all = await Promise.all([...names].sort().map((name) => look(main, name)))
  return all
}

async function look(main: Connection, name: string): Promise<TopicView> {
  try {
    const groups = groupsOf(await main.send(name, ['XINFO', 'GROUPS', name]))
    let waiting: number | null = 0
    for (const { lag, pending } of groups) waiting = waiting === null || lag === null ? null : waiting + lag + pending
    return { name, subscribers: null, waiting }
  } catch {
    // No stream, or not any more.
    return { name, subscribers: null, waiting: null }
  }
}
