/** Redis' flat lists of names and values, as XINFO answers them. */
export function recordOf(raw: unknown): Readonly<Record<string, unknown>> {
  const record: Record<string, unknown> = {}
  if (Array.isArray(raw)) for (let at = 0; at + 1 < raw.length; at += 2) record[String(raw[at])] = raw[at + 1]
  return record
}

export const listOf = (raw: unknown): readonly unknown[] => (Array.isArray(raw) ? raw : [])

/** One entry that a consumer was given and has not acknowledged. */
export interface Pending {
  readonly id: string
  readonly consumer: string
  /** For how long, in ms. */
  readonly idle: number
  /** How often it was given out. */
  readonly count: number
}

export const pendingOf = (raw: unknown): Pending[] =>
  listOf(raw).map((one) => {
    const [id, consumer, idle, count] = listOf(one)
    return { id: String(id), consumer: String(consumer), idle: Number(idle), count: Number(count) }
  })

export interface GroupInfo {
  readonly name: string
  readonly pending: number
  readonly lastDelivered: string
  /** Entries it has not been given; null where Redis cannot tell. */
  readonly lag: number | null
}

export const groupsOf = (raw: unknown): GroupInfo[] =>
  listOf(raw).map((one) => {
    const { name, pending, lag, 'last-delivered-id': lastDelivered } = recordOf(one)
    return {
      name: String(name),
      pending: Number(pending),
      lastDelivered: String(lastDelivered),
      lag: typeof lag === 'number' ? lag : null,
    }
  })

/** Orders entries' ids. */
export function compareIds(a: string, b: string): number {
  const [ams = 0, aseq = 0] = a.split('-').map(Number)
  const [bms = 0, bseq = 0] = b.split('-').map(Number)
  return ams - bms || aseq - bseq
}
