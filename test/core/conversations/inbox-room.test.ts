import { expect, it } from 'vitest'
import { InboxRoom } from '../../../src/core/conversations/inbox-room.ts'
import type { Tables } from '../../../src/ports/store.ts'
import { agentRow } from '../../helpers/rows.ts'

/** Tables in which so many messages wait, and how often they were counted. */
function waiting(count: number) {
  const world = { count, counted: 0 }
  const countWaiting = async ([id]: readonly string[] = []) => {
    world.counted++
    return new Map([[id ?? '', world.count]])
  }
  return { world, tables: { messages: { countWaiting } } as unknown as Tables }
}

it('an inbox with much in it was counted at every message', async () => {
  const room = new InboxRoom()
  const { world, tables } = waiting(60_000)
  const agent = agentRow()
  for (let at = 0; at < 10_000; at++) await room.take(tables, agent, 1, at)
  expect(world.counted).toBe(1)
})

it('is counted more often the fuller it is, and is never given more than its bound', async () => {
  const room = new InboxRoom()
  const { world, tables } = waiting(0)
  const agent = agentRow()
  let taken = 0
  await expect(
    (async () => {
      for (;;) {
        await room.take(tables, agent, 100, 0)
        taken += 100
        world.count = taken
      }
    })(),
  ).rejects.toMatchObject({ code: 'TOO_MANY', retryAfter: 30 })
  expect(taken).toBe(100_000)
  expect(world.counted).toBeLessThan(30)
})

it('that is full is not counted for each who is refused, and has room again when it has', async () => {
  const room = new InboxRoom()
  const { world, tables } = waiting(100_000)
  const agent = agentRow()
  for (let at = 0; at < 100; at++) await expect(room.take(tables, agent, 1, at)).rejects.toMatchObject({ code: 'TOO_MANY' })
  expect(world.counted).toBe(1)
  world.count = 10
  await expect(room.take(tables, agent, 1, 2000)).resolves.toBeUndefined()
})
