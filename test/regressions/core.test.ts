import { expect, it } from 'vitest'
import { UserLogs } from '../../src/core/supervision/user-logs.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { AgentRow } from '../../src/ports/store.ts'
import { CoreWorld, userCalled } from '../helpers/core-world.ts'
import { FakeProject } from '../helpers/fake-project.ts'
import { FakeRuntime } from '../helpers/fake-runtime.ts'
import { until } from '../helpers/until.ts'

it('[part of P8] a store that took nothing kept every token out, reads included', async () => {
  const world = await CoreWorld.open()
  const { token } = await world.call<{ token: string }>('tokens.create', { user: 'bob', role: 'user' })
  world.store.transaction = async () => {
    throw new RegentError('NO_SPACE', 'the disk is full')
  }
  expect(await world.core.identity.byToken(token, 'http')).toMatchObject({ user: 'bob', role: 'user' })
  expect(await world.call('agents.list', {}, userCalled('bob'))).toMatchObject({ agents: [] })
})

it("the user's log stayed empty for good when an agent's first run printed nothing", async () => {
  const { store } = await CoreWorld.open()
  const runtime = new FakeRuntime(systemClock)
  const project = new FakeProject()
  const begun = Promise.withResolvers<void>()
  runtime.logs = async function* () {
    await begun.promise
    for (const [runId, text] of [
      ['old', 'before'],
      ['second', 'hello'],
      ['third', 'again'],
    ] as const)
      yield { runId, stream: 'stdout' as const, at: 0, text }
  } as typeof runtime.logs
  const logs = new UserLogs({ runtime, project, store, clock: systemClock, logger: silentLogger })
  const agent = { id: 'a', owner: 'alice', name: 'news', kind: 'team' } as AgentRow
  logs.follow(agent, 'first', true)
  logs.follow(agent, 'second', true)
  begun.resolve()
  await until(() => project.lines.length === 2, 'two lines')
  expect(project.lines).toEqual(['alice/news hello', 'alice/news again'])
  logs.close()
})

it('a reader of the journal that fell out of the kept window while it read was not told', async () => {
  const world = await CoreWorld.open()
  const write = (count: number) =>
    world.store.transaction(async (tables) => {
      const nobody = { agentId: null, agent: null, owner: null, actor: 'test', data: {} }
      for (let at = 0; at < count; at++) await tables.events.append({ ...nobody, at, type: 'regent.started' })
    })
  await write(9000)
  const stop = new AbortController()
  const reader = world.core
    .open('events.stream', { after: 0 }, { caller: { user: 'root', role: 'admin', via: 'test' }, signal: stop.signal })
    [Symbol.asyncIterator]()
  const kinds: string[] = []
  const read = async (count: number) => {
    for (let at = 0; at < count; at++) kinds.push(((await reader.next()).value as { kind: string }).kind)
  }
  await read(10)
  await world.store.transaction((tables) => tables.events.prune(1000))
  await read(491)
  stop.abort()
  expect(kinds.indexOf('resync')).toBe(500)
})
