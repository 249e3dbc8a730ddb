import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'

type Sent = { message: { id: string; state: string }; reply: { content: string; reply_to: string } | null }

describe('a message to an agent', () => {
  it('goes to the connected runner, and the waiting sender gets the final reply', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const runner = await world.running(id)
    const sending = world.call<Sent>('messages.send', { agent: id, content: 'How is ETH?', wait: true })
    const frame = await runner.gets('message')
    expect(frame).toMatchObject({ content: 'How is ETH?', sender: 'root', conversation: 'main' })
    await runner.answers(frame.id, 'Up.')
    expect(await sending).toMatchObject({ message: { id: frame.id, state: 'acknowledged' }, reply: { content: 'Up.', reply_to: frame.id } })
  })

  it('[I2-BUS-01] waits while the agent is stopped, in order, also over a restart of Regent', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    for (const content of ['one', 'two', 'three']) await world.call('messages.send', { agent: id, content })
    await world.reborn()
    const runner = await world.running(id)
    await runner.gets('message', 2)
    expect(runner.frames.flatMap((frame) => (frame.type === 'message' ? [frame.content] : []))).toEqual(['one', 'two', 'three'])
  })

  it('is one message under one id, and under one idempotency key', async () => {
    const world = await CoreWorld.open()
    const agent = await world.team()
    const id = randomUUID()
    for (let i = 0; i < 5; i++) await world.call('messages.send', { agent, content: 'x', id })
    const first = await world.call<Sent>('messages.send', { agent, content: 'y' }, undefined, 'key')
    const again = await world.call<Sent>('messages.send', { agent, content: 'y' }, undefined, 'key')
    expect(again.message.id).toBe(first.message.id)
    const { messages } = await world.call<{ messages: unknown[] }>('messages.list', { agent })
    expect(messages).toHaveLength(2)
    await expect(world.call('messages.send', { agent, content: 'z' }, undefined, 'key')).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('[I2-BUS-01] that the agent gives up is dead with its reason, and the waiting sender is told', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const runner = await world.running(id)
    const sending = world.call<Sent>('messages.send', { agent: id, content: 'x', wait: true })
    const frame = await runner.gets('message')
    const told = expect(sending).rejects.toMatchObject({ code: 'UPSTREAM', message: expect.stringContaining('the key is wrong') })
    await runner.did({ kind: 'failed', message_id: frame.id, reason: 'the key is wrong' })
    await told
    expect((await world.call<Sent>('messages.get', { id: frame.id })).message).toMatchObject({ state: 'dead', reason: 'the key is wrong' })
  })

  it('is not waited for longer than asked, and stays', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await expect(world.call('messages.send', { agent: id, content: 'x', wait: true, timeout: 20 })).rejects.toMatchObject({
      code: 'TIMED_OUT',
    })
    expect((await world.call<{ messages: unknown[] }>('messages.list', { agent: id })).messages).toHaveLength(1)
  })

  it('is sent again after a reconnect when the runner had not accepted it, and its rows count once', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const first = await world.running(id)
    const sent = await world.call<Sent>('messages.send', { agent: id, content: 'x' })
    await first.gets('message')
    first.session.detach()
    const second = await world.connect(id)
    expect((await second.gets('message')).id).toBe(sent.message.id)
    await second.answers(sent.message.id, 'done')
    const third = await world.connect(id)
    expect((await third.gets('welcome')).cursor).toBe(2)
    third.seq = 0
    await third.answers(sent.message.id, 'done')
    const { messages } = await world.call<{ messages: { direction: string }[] }>('messages.list', { agent: id })
    expect(messages.map((message) => message.direction)).toEqual(['in', 'out'])
  })

  it('[I2-TOK-02] cannot be sent to, or read from, the agent of another user', async () => {
    const world = await CoreWorld.open()
    const id = await world.team('news', 'alice')
    const bob = userCalled('bob')
    for (const [name, input] of [
      ['messages.send', { agent: id, content: 'x' }],
      ['messages.list', { agent: 'alice/news' }],
      ['agents.get', { agent: 'news' }],
      ['agents.stop', { agent: id }],
      ['agents.list', { owner: 'alice' }],
    ] as const)
      await expect(world.call(name, input, bob), name).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await world.call('agents.list', {}, bob)).toEqual({ agents: [], next_cursor: null })
  })
})

describe('a command', () => {
  it('takes no messages, and the sender is told', async () => {
    const world = await CoreWorld.open()
    await world.call('agents.create', { agent: { kind: 'command', name: 'x', command: ['true'] } })
    await expect(world.call('messages.send', { agent: 'x', content: 'hi' })).rejects.toMatchObject({
      code: 'ILLEGAL_STATE',
      hint: expect.stringContaining('regent logs root/x'),
    })
  })
})

describe('a link', () => {
  it('is refused for a run that is no longer the present one', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await world.running(id)
    const old = world.runtime.last
    await world.call('agents.restart', { agent: id, wait: true })
    const admitted = await world.core.links.admit(old.spec.link?.token ?? '')
    expect(admitted?.runId).toBe(old.handle.runId)
    world.runtime.runs.push(world.runtime.runs.splice(world.runtime.runs.indexOf(old), 1)[0] ?? old)
    const runner = await world.connect(id)
    expect(await runner.gets('refused')).toMatchObject({ reason: expect.stringContaining('not the present one') })
    expect(runner.closed).toBeDefined()
  })

  it.each(['', 'x', '.', `${randomUUID()}.AAAA`, `${randomUUID()}.${'A'.repeat(43)}`])('admits no forged token %j', async (token) => {
    const world = await CoreWorld.open()
    expect(await world.core.links.admit(token)).toBeUndefined()
  })
})
