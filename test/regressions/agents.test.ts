import { expect, it } from 'vitest'
import { admin, CoreWorld } from '../helpers/core-world.ts'
import { until } from '../helpers/until.ts'

const fileOf = (world: CoreWorld) => world.project.written.get('alice/news')?.definition

it('a change that came again under its key put an old definition back into the agent file', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  const change = (task: string, key: string) => world.call('agents.update', { agent: id, definition: { initial_task: task } }, admin, key)
  await change('one', 'k1')
  await change('two', 'k2')
  await change('one', 'k1')
  expect(await world.call('agents.get', { agent: id })).toMatchObject({ revision: 3, definition: { initial_task: 'two' } })
  expect(fileOf(world)).toMatchObject({ initial_task: 'two' })
})

it('a change whose file could not be written counted as made, and making it again wrote nothing', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  const { write } = world.project
  world.project.write = async () => {
    throw new Error('ENOSPC')
  }
  const change = () => world.call('agents.update', { agent: id, definition: { initial_task: 'new' } })
  await expect(change()).rejects.toThrow('ENOSPC')
  world.project.write = write
  expect(await world.call('agents.get', { agent: id })).toMatchObject({ revision: 1 })
  await change()
  expect(fileOf(world)).toMatchObject({ initial_task: 'new' })
})

it('of two changes at once the second undid the first', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  await Promise.all([
    world.call('agents.update', { agent: id, definition: { initial_task: 'a task' } }),
    world.call('agents.update', { agent: id, policy: { startretries: 7 } }),
  ])
  expect(await world.call('agents.get', { agent: id })).toMatchObject({
    revision: 3,
    definition: { initial_task: 'a task' },
    policy: { startretries: 7 },
  })
})

it('a change beside a delete left the files of an agent that was gone', async () => {
  const world = await CoreWorld.open()
  const id = await world.team()
  const { write } = world.project
  world.project.write = async (agent) => {
    world.project.write = write
    await world.call('agents.delete', { agent: id, wait: true })
    return write.call(world.project, agent)
  }
  await expect(world.call('agents.update', { agent: id, definition: { initial_task: 'late' } })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
  expect(world.project.written.size).toBe(0)
})

it('an agent that took a name in the moment it became free had no agent file', async () => {
  const world = await CoreWorld.open()
  const old = await world.team()
  const { agents } = world.store.read
  const find = agents.find.bind(agents)
  let seen = 0
  agents.find = async (owner, name) => {
    const found = await find(owner, name)
    if (seen++ === 0) await world.call('agents.delete', { agent: old, wait: true })
    return found
  }
  await expect(world.team()).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
  const id = await world.team()
  expect(world.project.written.get('alice/news')?.id).toBe(id)
})

it("a channel changed its owner at a restart, to whoever's agent was older", async () => {
  const world = await CoreWorld.open()
  const json = (channel_name: string) => ({ pubsub_enabled: true, pubsub_config: { backend: 'memory', channel_name } })
  const make = async (owner: string, channel: string) =>
    (
      await world.call<{ id: string }>('agents.create', {
        agent: { kind: 'team', owner, name: 'a', subagents: [], json_config: json(channel) },
      })
    ).id
  const alice = await make('alice', 'quiet')
  const bob = await make('bob', 'shared')
  const made = Date.now()
  await until(() => Date.now() > made, 'the next millisecond')
  await world.call('agents.update', { agent: alice, definition: { json_config: json('shared') } })
  const kept = async () => {
    const without = async (agent: string) => (await world.call<{ conditions: object[] }>('agents.get', { agent })).conditions.length
    return [await without(alice), await without(bob)]
  }
  expect(await kept()).toEqual([1, 0])
  await world.reborn()
  expect(await kept()).toEqual([1, 0])
  await world.call('agents.delete', { agent: alice, wait: true })
  expect(await world.store.read.cursors.get(`channel:${alice}`)).toBe(0)
})
