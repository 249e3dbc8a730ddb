import { describe, expect, it } from 'vitest'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { until } from '../../helpers/until.ts'

describe('an approval', () => {
  it('[I2-APR-01] is listed, takes the first answer that the runner accepts, and is closed then', async () => {
    const world = await CoreWorld.open()
    const runner = await world.running(await world.team())
    const id = await runner.asks('fetch')
    const { approvals } = await world.call<{ approvals: object[] }>('approvals.list', {})
    expect(approvals).toMatchObject([
      { id, agent: 'alice/news', server: 'fetch', tool: 'fetch', arguments: { url: 'https://e.org' }, default: 'reject', state: 'pending' },
    ])
    const answering = world.call('approvals.approve', { id: id.slice(0, 8) })
    const frame = await runner.gets('answer')
    expect(frame).toMatchObject({ approval_id: id, confirmed: true, by: 'root', via: 'test' })
    await runner.did({ kind: 'approval_closed', id, confirmed: true, by: 'root', via: 'test' })
    await runner.tell({ type: 'answered', approval_id: id, nonce: frame.nonce, outcome: 'accepted', confirmed: true, by: 'root' })
    expect(await answering).toMatchObject({ id, state: 'confirmed', answered_by: 'root' })
    await expect(world.call('approvals.reject', { id })).rejects.toMatchObject({
      code: 'TOO_LATE',
      message: expect.stringContaining('confirmed already by root'),
    })
  })

  it('tells a late answer what was decided', async () => {
    const world = await CoreWorld.open()
    const runner = await world.running(await world.team())
    const id = await runner.asks('fetch')
    const late = expect(world.call('approvals.approve', { id })).rejects.toMatchObject({
      code: 'TOO_LATE',
      message: expect.stringContaining('rejected already by timeout'),
    })
    const { nonce } = await runner.gets('answer')
    await runner.tell({ type: 'answered', approval_id: id, nonce, outcome: 'late', confirmed: false, by: 'timeout' })
    await late
  })

  it('cannot be answered while its agent is not connected, and nothing is decided by that', async () => {
    const world = await CoreWorld.open()
    const runner = await world.running(await world.team())
    const id = await runner.asks('fetch')
    runner.session.detach()
    await expect(world.call('approvals.approve', { id })).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfter: 1 })
    expect(await world.call('approvals.get', { id })).toMatchObject({ state: 'pending' })
  })

  it('can still be given after a restart of Regent', async () => {
    const world = await CoreWorld.open()
    const agent = await world.team()
    const id = await (await world.running(agent)).asks('fetch')
    await world.reborn()
    const runner = await world.connect(agent)
    const answering = world.call('approvals.approve', { id })
    const { nonce } = await runner.gets('answer')
    await runner.tell({
      type: 'out',
      rows: [{ seq: 2, at: 1, body: { kind: 'approval_closed', id, confirmed: true, by: 'root', via: 'test' } }],
    })
    await runner.tell({ type: 'answered', approval_id: id, nonce, outcome: 'accepted', confirmed: true, by: 'root' })
    expect(await answering).toMatchObject({ state: 'confirmed' })
  })

  it("is not another user's to see or to answer", async () => {
    const world = await CoreWorld.open()
    const id = await (await world.running(await world.team())).asks('fetch')
    expect(await world.call('approvals.list', {}, userCalled('bob'))).toEqual({ approvals: [] })
    for (const what of ['approvals.get', 'approvals.approve', 'approvals.reject'])
      await expect(world.call(what, { id }, userCalled('bob'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(world.call('approvals.approve', { id }, { user: 'alice', role: 'read-only', via: 'test' })).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
  })

  it('[S0-44] shows on both channels of its agent and takes an answer from either', async () => {
    const world = await CoreWorld.open()
    const runner = await world.running(await world.team())
    const heard: string[] = []
    for (const name of ['agent:alice-news', 'agent_alice-news'])
      await world.bus.subscribe({ name }, async ({ topic, body }) => void heard.push(`${topic.name} ${body}`))
    const id = await runner.asks('fetch')
    await until(() => heard.length === 2, 'the request on both channels')
    expect(heard.map((line) => line.split(' ')[0]).sort()).toEqual(['agent:alice-news', 'agent_alice-news'])
    expect(JSON.parse(heard[0]?.slice(heard[0].indexOf(' ')) ?? '')).toMatchObject({
      type: 'tool_confirmation_request',
      request_id: id,
      server_name: 'fetch',
      tool_name: 'fetch',
      timeout_ms: 60_000,
      agent_name: 'finder',
    })
    const answering = world.bus.publish(
      { name: 'agent_alice-news' },
      { id: 'a', body: JSON.stringify({ type: 'tool_confirmation_response', request_id: id, confirmed: true }) },
    )
    const frame = await runner.gets('answer')
    expect(frame).toMatchObject({ approval_id: id, confirmed: true, via: 'channel' })
    await runner.tell({ type: 'answered', approval_id: id, nonce: frame.nonce, outcome: 'accepted', confirmed: true, by: 'channel' })
    await answering
  })
})

describe('a channel', () => {
  it.each([
    ['the envelope', JSON.stringify({ type: 'user', content: 'hi', channel_id: 'agent:alice-news', metadata: { name: 'default' } }), 'hi'],
    ['a JSON text', '"hi"', 'hi'],
    ['plain text', 'hi there', 'hi there'],
  ])('[S0-24] [I2-TEAM-06] takes %s as a prompt', async (_what, body, content) => {
    const world = await CoreWorld.open()
    const runner = await world.running(await world.team())
    await world.call('bus.publish', { topic: 'agent:alice-news', message: body })
    expect(await runner.gets('message')).toMatchObject({ content, sender: 'channel' })
  })

  it.each(['{"type":"assistant","content":"x"}', '{"type":"user"}', '{"type":"user","content":5}', '[1]', 'null', '17', ''])(
    'ignores %s',
    async (body) => {
      const world = await CoreWorld.open()
      const id = await world.team()
      await world.bus.publish({ name: 'agent:alice-news' }, { id: 'x', body })
      expect((await world.call<{ messages: unknown[] }>('messages.list', { agent: id })).messages).toEqual([])
    },
  )

  it('[I2-TEAM-06] [S0-43] carries what the agent says, and does not take that for a prompt', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const runner = await world.running(id)
    const heard: unknown[] = []
    await world.bus.subscribe({ name: 'agent_alice-news' }, async ({ body }) => void heard.push(JSON.parse(body)))
    await runner.did({
      kind: 'say',
      id: 'say-1',
      type: 'user',
      content: 'a prompt',
      metadata: { chat_turn: 1 },
      author: 'news',
      reply_to: null,
      final: false,
    })
    await until(() => heard.length === 1, 'the message')
    expect(heard).toEqual([{ type: 'user', content: 'a prompt', channel_id: 'agent_alice-news', metadata: { chat_turn: 1 } }])
    expect(
      (await world.call<{ messages: { direction: string }[] }>('messages.list', { agent: id })).messages.map((one) => one.direction),
    ).toEqual(['out'])
  })

  it('belongs to the owner who was there first; the other is told, and gets it when it is free', async () => {
    const world = await CoreWorld.open()
    const config = { pubsub_enabled: true, pubsub_config: { backend: 'memory', channel_name: 'c' } }
    const make = (owner: string) =>
      world.call<{ id: string }>('agents.create', { agent: { kind: 'team', owner, name: 'x', subagents: [], json_config: config } })
    const messages = async (agent: string) => (await world.call<{ messages: unknown[] }>('messages.list', { agent })).messages.length
    const first = await make('alice')
    const second = await make('bob')
    expect(await world.call('agents.get', { agent: second.id })).toMatchObject({ conditions: [{ type: 'channel', subject: 'memory:c' }] })
    await world.call('bus.publish', { topic: 'agent:c', message: 'hi' })
    expect([await messages(first.id), await messages(second.id)]).toEqual([1, 0])
    await world.call('agents.delete', { agent: first.id, wait: true })
    await until(
      async () => ((await world.call('agents.get', { agent: second.id })).conditions as unknown[]).length === 0,
      'the free channel',
    )
    await world.call('bus.publish', { topic: 'agent:c', message: 'hi' })
    expect(await messages(second.id)).toBe(1)
  })
})
