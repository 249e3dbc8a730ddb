import { expect, it } from 'vitest'
import { CoreWorld } from '../helpers/core-world.ts'
import { until } from '../helpers/until.ts'

it('an inbox of large messages was sent at once, so that the door cut the link again and again', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  for (let count = 0; count < 12; count++) await world.call('messages.send', { agent: id, content: 'x'.repeat(400_000) })
  const runner = await world.running(id)
  const messages = () => runner.frames.flatMap((frame) => (frame.type === 'message' ? [frame] : []))
  expect(messages()).toHaveLength(2)
  for (let count = 0; count < 12; count++) {
    await until(() => messages().length > count, `message ${count}`)
    await runner.tell({ type: 'accepted', message_id: messages()[count]?.id ?? '' })
  }
  expect(new Set(messages().map((message) => message.number)).size).toBe(12)
  expect(messages()).toHaveLength(12)
})

it('a message that is larger than the window is sent alone', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  await world.call('messages.send', { agent: id, content: 'x'.repeat(999_999), metadata: { note: 'y'.repeat(100) } })
  expect((await (await world.running(id)).gets('message')).content).toHaveLength(999_999)
})

it('who answered an approval while the link broke waited ten seconds for nothing', async () => {
  const world = await CoreWorld.open()
  const runner = await world.running(await world.team())
  const id = await runner.asks('fetch')
  const answering = expect(world.call('approvals.approve', { id })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await runner.gets('answer')
  const begun = performance.now()
  runner.session.detach()
  await answering
  expect(performance.now() - begun).toBeLessThan(5000)
})

it('a second hello took the place of its own link, which was dead then', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  const runner = await world.running(id)
  const hello = { type: 'hello' as const, version: 1, agent_id: id, run_id: 'x', activity: 'idle' as const, conditions: [] }
  await expect(runner.tell(hello)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  await world.call('messages.send', { agent: id, content: 'still there' })
  expect(await runner.gets('message')).toMatchObject({ content: 'still there' })
})

it('a page of long messages was as large as all of them', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  await world.store.transaction(async (tables) => {
    const common = { agentId: id, conversation: 'main', direction: 'in', type: 'user', metadata: {}, sender: 'a', replyTo: null } as const
    for (let at = 0; at < 120; at++)
      await tables.messages.insert({
        ...common,
        id: `m${at}`,
        content: 'x'.repeat(100_000),
        final: false,
        state: 'queued',
        tries: 0,
        reason: null,
        at,
      })
  })
  const list = async (input: object) =>
    (await world.call<{ messages: { id: string; number: number }[] }>('messages.list', { agent: id, limit: 500, ...input })).messages
  const last = await list({})
  expect(last.at(-1)?.id).toBe('m119')
  expect(last.length).toBeLessThan(70)
  const seen: string[] = []
  for (let after = 0; ; ) {
    const part = await list({ after })
    if (part.length === 0) break
    seen.push(...part.map((message) => message.id))
    after = part.at(-1)?.number ?? 0
  }
  expect(seen).toEqual(Array.from({ length: 120 }, (_, at) => `m${at}`))
})
