import type { Clock } from '../../../kernel/clock.ts'
import type { Connection } from './connection.ts'
import { compareIds, groupsOf, listOf } from './replies.ts'

/** A stream keeps about so many entries, whoever has not had them. */
export const MOST_ENTRIES = '1000000'
/** For subscribers without a group, whose place Redis does not know, in ms. */
const KEPT_MS = 60_000

/** Lets go of what every group has acknowledged and that is old enough. Nothing where a stream has no group. */
export async function trim(main: Connection, clock: Clock, key: string): Promise<void> {
  const groups = groupsOf(await main.send(key, ['XINFO', 'GROUPS', key]))
  let least = `${clock.now() - KEPT_MS}-0`
  for (const { name, pending, lastDelivered } of groups) {
    const oldest = pending > 0 ? listOf(await main.send(key, ['XPENDING', key, name]))[1] : null
    const needed = typeof oldest === 'string' ? oldest : lastDelivered
    if (compareIds(needed, least) < 0) least = needed
  }
  if (groups.length > 0) await main.send(key, ['XTRIM', key, 'MINID', '~', least])
}
