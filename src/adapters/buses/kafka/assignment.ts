/** What a member tells of itself when it joins, and what its leader answers: Kafka's own consumer protocol, version 0, with user data. */

export interface MemberState {
  readonly id: string
  /** What it holds at this moment. */
  readonly owned: readonly number[]
  /** It wants one member to have everything. */
  readonly exclusive: boolean
}

/** Kafka's format for one topic; `partitions` where it is an assignment. */
function encode(topic: string, partitions: readonly number[] | undefined, userData: string): Buffer {
  const name = Buffer.from(topic)
  const data = Buffer.from(userData)
  const head = Buffer.alloc(8)
  head.writeInt32BE(1, 2)
  head.writeInt16BE(name.length, 6)
  const list = Buffer.alloc(partitions ? 4 + 4 * partitions.length : 0)
  if (partitions) {
    list.writeInt32BE(partitions.length, 0)
    for (const [at, partition] of partitions.entries()) list.writeInt32BE(partition, 4 + 4 * at)
  }
  const length = Buffer.alloc(4)
  length.writeInt32BE(data.length)
  return Buffer.concat([head, name, list, length, data])
}

export const encodeSubscription = (topic: string, owned: readonly number[], exclusive: boolean): Buffer =>
  encode(topic, undefined, JSON.stringify({ owned, exclusive }))

export const encodeAssignment = (topic: string, partitions: readonly number[]): Buffer => encode(topic, partitions, '')

/** Of a stranger's client only that it is there. */
export function decodeSubscription(id: string, metadata: Buffer): MemberState {
  try {
    let at = 2
    const topics = metadata.readInt32BE(at)
    at += 4
    for (let count = 0; count < topics; count++) at += 2 + metadata.readInt16BE(at)
    const length = metadata.readInt32BE(at)
    const { owned, exclusive } = JSON.parse(metadata.subarray(at + 4, at + 4 + length).toString()) as Partial<MemberState>
    return { id, owned: Array.isArray(owned) ? owned.filter(Number.isInteger) : [], exclusive: exclusive === true }
  } catch {
    return { id, owned: [], exclusive: false }
  }
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

/**
 * Who gets which partitions: each stays with who has it unless others have fewer by more than one. One that changes hands is given to
 * nobody in this round: who has it ends its work first and joins again.
 */
export function assign(members: readonly MemberState[], partitions: number): ReadonlyMap<string, readonly number[]> {
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
