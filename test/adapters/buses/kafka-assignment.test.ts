import { describe, expect, it } from 'vitest'
import {
  assignAll,
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type MemberState,
} from '../../../src/adapters/buses/kafka/assignment.ts'

const member = (id: string, owned: readonly number[] = [], more: Partial<MemberState> = {}): MemberState => ({
  id,
  topics: ['t'],
  owned,
  exclusive: false,
  ...more,
})
const sharesOf = (members: readonly MemberState[], partitions: number) =>
  members.map(
    ({ id }) =>
      assignAll(members, new Map([['t', partitions]]))
        .get(id)
        ?.get('t') ?? [],
  )

describe('the partitions of a Kafka group', () => {
  it('are shared evenly, and stay with who has them', () => {
    expect(sharesOf([member('a')], 3)).toEqual([[0, 1, 2]])
    expect(sharesOf([member('a'), member('b')], 5).map((share) => share.length)).toEqual([3, 2])
    expect(sharesOf([member('a', [1, 3]), member('b', [0, 2])], 4)).toEqual([
      [1, 3],
      [0, 2],
    ])
    expect(sharesOf([member('a', [0]), member('b')], 1)).toEqual([[0], []])
  })

  it('change hands in two rounds: first nobody has them', () => {
    const [a, b] = [member('a', [0, 1, 2, 3]), member('b')]
    const first = sharesOf([a, b], 4)
    expect(first).toEqual([[0, 1], []])
    expect(sharesOf([member('a', first[0]), b], 4)).toEqual([
      [0, 1],
      [2, 3],
    ])
  })

  it('go to the others when a member is gone, and once only where two say that they have them', () => {
    expect(sharesOf([member('b', [2])], 3)).toEqual([[0, 1, 2].sort((x) => (x === 2 ? -1 : 0))])
    const twice = sharesOf([member('a', [0, 1]), member('b', [0, 1])], 2)
    expect(twice.flat().length).toBeLessThanOrEqual(2)
  })

  it('are all with one member where a member wants it so', () => {
    const exclusive = { exclusive: true }
    expect(sharesOf([member('a', [], exclusive), member('b', [0, 1, 2], exclusive)], 3)).toEqual([[], [0, 1, 2]])
  })

  it('are those of the topics that a member wants', () => {
    const shares = assignAll(
      [member('a'), member('b', [], { topics: ['u'] }), member('c', [], { topics: ['t', 'u'] })],
      new Map([
        ['t', 2],
        ['u', 2],
      ]),
    )
    expect([shares.get('a')?.has('u'), shares.get('b')?.has('t')]).toEqual([false, false])
    expect([...(shares.get('a')?.get('t') ?? []), ...(shares.get('c')?.get('t') ?? [])].sort()).toEqual([0, 1])
    expect([...(shares.get('b')?.get('u') ?? []), ...(shares.get('c')?.get('u') ?? [])].sort()).toEqual([0, 1])
  })

  it('are told in the format of Kafka', () => {
    expect(decodeSubscription('m', encodeSubscription('t', [1, 2], true))).toEqual(member('m', [1, 2], { exclusive: true }))
    const assignment = encodeAssignment(
      new Map([
        ['u', [7]],
        ['t', [0, 3]],
      ]),
    )
    expect([decodeAssignment('t', assignment), decodeAssignment('none', assignment), decodeAssignment('t', Buffer.alloc(0))]).toEqual([
      [0, 3],
      [],
      [],
    ])
    const foreign = Buffer.from('0001000000010001740000000000000000', 'hex')
    expect(decodeSubscription('f', foreign)).toEqual(member('f'))
  })
})
