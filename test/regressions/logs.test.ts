import { expect, it } from 'vitest'
import { admin, CoreWorld } from '../helpers/core-world.ts'
import { until } from '../helpers/until.ts'

async function printed(lines: number) {
  const world = await CoreWorld.open()
  const agent = { kind: 'command', owner: 'alice', name: 'a', command: ['sleep', '1'] }
  const { id } = await world.call<{ id: string }>('agents.create', { agent }, admin)
  for (let n = 0; n < lines; n++) world.runtime.print(id, `${n}`, { at: n })
  return { world, id }
}

it.each([
  ['logs.stream', { follow: true }],
  ['logs.stream', {}],
  ['agents.logs', { agent: 'alice/a', follow: true }],
  ['agents.logs', { agent: 'alice/a' }],
])('a reader of %s %j who went away before the last line left the files of the log open for ever', async (name, input) => {
  const { world } = await printed(50)
  for await (const _ of world.core.open(name, input, { caller: admin, signal: new AbortController().signal })) break
  await until(() => world.runtime.readers === 0, 'no reader is left')
  expect(world.runtime.linesRead).toBeLessThan(5)
})
