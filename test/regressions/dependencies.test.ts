import { expect, it } from 'vitest'
import { policy } from '../../src/contract/policy.ts'
import { Supervised } from '../helpers/supervised.ts'
import { until } from '../helpers/until.ts'

it('two agents that both depend on the next two, and so on, doubled the work and the words of a held start with each step', async () => {
  const world = await Supervised.open()
  const layers = 14
  const on = (names: readonly string[]) => ({
    depends_on: Object.fromEntries(names.map((name) => [name, { condition: 'started' as const }])),
  })
  let below = ['missing']
  let top = ''
  for (let layer = 0; layer < layers; layer++) {
    const names = [`a${layer}`, `b${layer}`]
    for (const name of names) top = await world.agent({ startsecs: 0, ...on(below) }, 'command', name)
    below = names
  }
  let reads = 0
  const { agents } = world.store.read
  const find = agents.find.bind(agents)
  agents.find = (owner, name) => {
    reads++
    return find(owner, name)
  }
  await world.ask('start', top)
  await until(async () => (await world.life(top)).reason.includes('missing (started), which does not exist'), 'the reason')
  expect((await world.life(top)).reason.length).toBeLessThan(100 * layers)
  expect(reads).toBeLessThan(layers * layers * 100)
})

it('a policy could name any number of agents, each of them looked at with every change of one', () => {
  const named = (count: number) =>
    policy.safeParse({ restart: 'always', depends_on: Object.fromEntries(Array.from({ length: count }, (_, n) => [`a${n}`, {}])) })
  expect(named(1000).success).toBe(true)
  expect(named(1001).error?.issues).toMatchObject([{ path: ['depends_on'], message: 'must name at most 1000 agents' }])
})
