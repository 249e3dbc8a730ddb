import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type FromRegent, heardIds, type OutBody } from '../../../src/contract/link.ts'
import { CoreWorld } from '../../helpers/core-world.ts'
import { until } from '../../helpers/until.ts'

async function team(world: CoreWorld, owner: string, name: string, pubsub_config: object): Promise<string> {
  const json_config = { pubsub_enabled: true, pubsub_config }
  return (await world.call<{ id: string }>('agents.create', { agent: { kind: 'team', owner, name, subagents: [], json_config } })).id
}

const redis = (stem: string, port: number, host = '127.0.0.1') => ({ backend: 'redis', channel_name: stem, redis: { host, port } })
const kafka = (stem: string, servers: string[]) => ({ backend: 'kafka', channel_name: stem, kafka: { bootstrap_servers: servers } })
const refused = async (world: CoreWorld, agent: string) =>
  ((await world.call('agents.get', { agent })).conditions as { type: string }[]).some(({ type }) => type === 'channel')

describe('what an agent hears on its own channel', () => {
  const heard = (message_id: string): OutBody => ({
    ...{ kind: 'heard', message_id, conversation: 'main', sender: 'channel', content: 'hi', metadata: { n: 1 }, via: 't' },
  })
  const seen = async (world: CoreWorld, agent: string) => (await world.call<{ messages: object[] }>('messages.list', { agent })).messages

  it('stands in its history with its answer, once, however often it is told', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const runner = await world.running(id)
    const said = { kind: 'say', id: randomUUID(), type: 'assistant', content: 're hi', metadata: {}, author: 'news' } as const
    const bodies: OutBody[] = [heard('h1'), { ...said, reply_to: 'h1', final: true }, { kind: 'done', message_id: 'h1' }]
    const rows = bodies.map((body, at) => ({ seq: at + 1, at: 5, body }))
    await runner.tell({ type: 'out', rows: rows.slice(0, 1), accepted: [] })
    expect(await seen(world, id)).toMatchObject([
      { id: 'h1', direction: 'in', content: 'hi', state: 'delivered', sender: 'channel', metadata: { n: 1 } },
    ])
    await runner.tell({ type: 'out', rows, accepted: [] })
    expect(await seen(world, id)).toMatchObject([
      { direction: 'in', state: 'acknowledged' },
      { direction: 'out', content: 're hi', reply_to: 'h1' },
    ])
    const { events } = await world.call<{ events: { type: string }[] }>('events.list', { agent: id, limit: 500 })
    const told = events.map(({ type }) => type).filter((type) => type.startsWith('message.'))
    expect(told).toEqual(['message.queued', 'message.delivered', 'message.sent', 'message.acknowledged'])
  })

  it('is not sent to it again', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    const runner = await world.running(id)
    for (let at = 0; at < 300; at++) await runner.did(heard(`${heardIds(id)}t:${at}`))
    await world.call('messages.send', { agent: id, content: 'another' })
    expect(await runner.gets('message')).toMatchObject({ content: 'another' })
    expect(runner.frames.filter(({ type }) => type === 'message')).toHaveLength(1)
  })
})

describe('the channel of a broker', () => {
  it('belongs to one owner, by broker and topic, whatever the channels are called', async () => {
    const world = await CoreWorld.open()
    await team(world, 'alice', 'c', redis('first', 1))
    const others = {
      sameTopic: await team(world, 'bob', 'b1', redis('c', 1)),
      sameStem: await team(world, 'bob', 'b2', redis('first', 1, 'LOCALHOST')),
      itsOutput: await team(world, 'bob', 'b3', redis('agent_first', 1)),
      otherBroker: await team(world, 'bob', 'b4', redis('first', 2)),
      otherTopic: await team(world, 'bob', 'b5', redis('second', 1)),
      memory: await team(world, 'bob', 'b6', { backend: 'memory', channel_name: 'first' }),
    }
    const told = Object.fromEntries(await Promise.all(Object.entries(others).map(async ([name, id]) => [name, await refused(world, id)])))
    expect(told).toEqual({ sameTopic: true, sameStem: true, itsOutput: true, otherBroker: false, otherTopic: false, memory: false })
  })

  it('is shared with those that name another of its addresses, and among the agents of one owner', async () => {
    const world = await CoreWorld.open()
    await team(world, 'alice', 'one', kafka('c', ['h1:1', 'h2:1']))
    expect(await refused(world, await team(world, 'alice', 'two', kafka('c', ['h2:1'])))).toBe(false)
    expect(await refused(world, await team(world, 'bob', 'three', kafka('c', ['h3:1', 'h2:1'])))).toBe(true)
    expect(await refused(world, await team(world, 'carol', 'four', kafka('c', ['h4:1'])))).toBe(false)
  })

  it('is told to the runner: at its launch, at its link, and when it becomes free', async () => {
    const world = await CoreWorld.open()
    const first = await team(world, 'alice', 'a', redis('c', 1))
    const second = await team(world, 'bob', 'b', redis('c', 1))
    const runner = await world.running(second)
    expect(world.runtime.last.spec.env.REGENT_CHANNEL).toBe('refused')
    runner.session.detach()
    const frames = await linked(world, second)
    const told = () => frames.filter((frame) => frame.type === 'channel')
    await until(() => told().length === 1, 'the word at the link')
    await world.call('agents.delete', { agent: first, wait: true })
    await until(() => told().length === 2, 'the word that it is free')
    expect(told()).toEqual([
      { type: 'channel', held: false, topic: 'agent:c' },
      { type: 'channel', held: true, topic: 'agent:c' },
    ])
    await world.call('agents.restart', { agent: second, wait: true })
    expect(world.runtime.last.spec.env.REGENT_CHANNEL).toBeUndefined()
  })
})

/** The runner's link, as a runner of today opens it. */
async function linked(world: CoreWorld, id: string): Promise<readonly FromRegent[]> {
  const admitted = await world.core.links.admit(world.runtime.last.spec.link?.token ?? '')
  const frames: FromRegent[] = []
  const peer = { agentId: id, runId: admitted?.runId ?? '', send: (frame: FromRegent) => void frames.push(frame), ping() {}, close() {} }
  const session = world.core.links.attach(peer)
  await session.receive({ type: 'hello', version: 2, agent_id: id, run_id: peer.runId, activity: 'idle', conditions: [] })
  return frames
}
