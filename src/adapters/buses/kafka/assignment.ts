import { isObject, tryParse } from '../../../kernel/json.ts'

/** What a member tells of itself when it joins, and what its leader answers: Kafka's own consumer protocol, version 0. The members of a group may want different topics. */

export interface MemberState {
  readonly id: string
  /** One of ours has one; a stranger's client may have more. */
  readonly topics: readonly string[]
  /** What it holds of its topic at this moment. */
  readonly owned: readonly number[]
  /** It wants one member to have everything of its topic. */
  readonly exclusive: boolean
}

/** By topic. */
export type Share = ReadonlyMap<string, readonly number[]>

export function encodeSubscription(topic: string, owned: readonly number[], exclusive: boolean): Buffer {
  const data = Buffer.from(JSON.stringify({ owned, exclusive }))
  return Buffer.concat([VERSION, int32(1), text(topic), int32(data.length), data])
}

export function encodeAssignment(share: Share): Buffer {
  const parts = [...share].map(([topic, partitions]) => Buffer.concat([text(topic), int32(partitions.length), ...partitions.map(int32)]))
  return Buffer.concat([VERSION, int32(parts.length), ...parts, int32(0)])
}

const VERSION = Buffer.alloc(2)

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeInt32BE(value)
  return buffer
}

function text(value: string): Buffer {
  const length = Buffer.alloc(2)
  const bytes = Buffer.from(value)
  length.writeInt16BE(bytes.length)
  return Buffer.concat([length, bytes])
}

export function decodeSubscription(id: string, metadata: Buffer): MemberState {
  const topics: string[] = []
  let at = 2
  const count = metadata.readInt32BE(at)
  at += 4
  while (topics.length < count) {
    const length = metadata.readInt16BE(at)
    topics.push(metadata.subarray(at + 2, at + 2 + length).toString())
    at += 2 + length
  }
  const length = at + 4 <= metadata.length ? metadata.readInt32BE(at) : 0
  // What a stranger's client says there is its own.
  const said = length > 0 ? tryParse(metadata.subarray(at + 4, at + 4 + length).toString()) : undefined
  if (!isObject(said)) return { id, topics, owned: [], exclusive: false }
  const owned = Array.isArray(said.owned) ? said.owned.filter((one) => Number.isInteger(one)) : []
  return { id, topics, owned: owned as number[], exclusive: said.exclusive === true }
}

export function decodeAssignment(topic: string, assignment: Buffer): readonly number[] {
  if (assignment.length < 6) return []
  const found: number[] = []
  let at = 6
  for (let topics = assignment.readInt32BE(2); topics > 0; topics--) {
    const length = assignment.readInt16BE(at)
    const name = assignment.subarray(at + 2, at + 2 + length).toString()
    at += 2 + length
    const count = assignment.readInt32BE(at)
    at += 4
    for (let one = 0; one < count; one++, at += 4) if (name === topic) found.push(assignment.readInt32BE(at))
  }
  return found
}

/** What each member of a group gets, of each topic that it wants; `partitions`: how many each topic has. */
export function assignAll(members: readonly MemberState[], partitions: ReadonlyMap<string, number>): ReadonlyMap<string, Share> {
  const shares = new Map(members.map(({ id }) => [id, new Map<string, readonly number[]>()]))
  for (const [topic, count] of partitions) {
    const wanting = members.filter(({ topics }) => topics.includes(topic))
    for (const [id, mine] of assign(wanting, count)) if (mine.length > 0) shares.get(id)?.set(topic, mine)
  }
  return shares
}

/**
 * Who gets which partitions: each stays with who has it unless others have fewer by more than one. One that changes hands is given to
 * nobody in this round: who has it ends its work first and joins again.
 */
function assign(members: readonly MemberState[], partitions: number): ReadonlyMap<string, readonly number[]> {
  const sorted = [...members].sort((a, b) => b.owned.length - a.owned.length || (a.id < b.id ? -1 : 1))
  const owners = new Map<number, string>()
  for (const { id, owned } of sorted)
    for (const partition of owned) if (partition < partitions && !owners.has(partition)) owners.set(partition, id)
  const wanted = members.some(({ exclusive }) => exclusive) ? allToOne(sorted, partitions) : shares(sorted, owners, partitions)
  const result = new Map(members.map(({ id }) => [id, [] as number[]]))
  for (const [partition, id] of wanted) {
    const owner = owners.get(partition)
    if (owner === undefined || owner === id) result.get(id)?.push(partition)
  }
  return result
}

function allToOne([first]: readonly MemberState[], partitions: number): ReadonlyMap<number, string> {
  return new Map(Array.from({ length: partitions }, (_, partition) => [partition, first?.id ?? '']))
}

function shares(members: readonly MemberState[], owners: ReadonlyMap<number, string>, partitions: number): ReadonlyMap<number, string> {
  const wanted = new Map<number, string>()
  const counts = new Map(members.map(({ id }) => [id, 0]))
  const least = Math.floor(partitions / members.length)
  let more = partitions % members.length
  const give = (partition: number, id: string) => {
    wanted.set(partition, id)
    counts.set(id, (counts.get(id) ?? 0) + 1)
  }
  for (const [partition, id] of owners) {
    const count = counts.get(id) ?? 0
    if (count > least || (count === least && more === 0)) continue
    if (count === least) more -= 1
    give(partition, id)
  }
  for (let partition = 0; partition < partitions; partition++) {
    if (wanted.has(partition)) continue
    const [poorest] = [...counts].sort(([, a], [, b]) => a - b)
    if (poorest) give(partition, poorest[0])
  }
  return wanted
}
