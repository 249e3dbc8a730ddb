import { describe, expect, it } from 'vitest'
import { UserLogs, userLogCursor } from '../../../src/core/supervision/user-logs.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { AgentRow, Store } from '../../../src/ports/store.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { FakeProject } from '../../helpers/fake-project.ts'
import { FakeRuntime } from '../../helpers/fake-runtime.ts'
import { until } from '../../helpers/until.ts'

const agent = { id: 'news', owner: 'alice', name: 'news', kind: 'team' } as AgentRow

/** A Regent's copying, again and again over the same files. */
function copying() {
  const clock = new FakeClock()
  const runtime = new FakeRuntime(clock)
  const project = new FakeProject()
  const kept = new Map<string, number>()
  const state = { writes: 0, failing: false }
  const cursors = {
    get: async (name: string) => kept.get(name) ?? 0,
    set: async (name: string, value: number) => void kept.set(name, value),
  }
  const store = {
    read: { cursors },
    async transaction(work: (tables: object) => Promise<void>) {
      if (state.failing) throw new Error('the disk is full')
      state.writes++
      await work({ cursors })
    },
  } as unknown as Store
  const start = () => new UserLogs({ runtime, project, store, clock, logger: silentLogger })
  const copied = (count: number) => until(() => project.lines.length === count, `${count} lines, there are ${project.lines.length}`)
  const print = (text: string) => {
    clock.advance(5)
    runtime.print(agent.id, text)
  }
  return { clock, runtime, project, kept, state, start, copied, print }
}

describe("a user's log", () => {
  it('has what was printed while Regent was down, and nothing twice after an orderly stop', async () => {
    const { clock, runtime, project, kept, start, copied, print } = copying()
    print('of an older run')
    clock.advance(5)
    const first = start()
    runtime.print(agent.id, 'one', { runId: 'second' })
    first.follow(agent, 'second', true)
    await copied(1)
    first.close()
    await until(() => kept.has(userLogCursor(agent.id)), 'the position is kept')
    print('while it was down')
    const next = start()
    next.follow(agent, 'second', false)
    await until(() => project.lines.includes('alice/news while it was down'), 'what was missed')
    print('and after')
    await until(() => project.lines.at(-1) === 'alice/news and after', 'the next line')
    // The last line before it stopped is the only one that may come again.
    expect([...new Set(project.lines)]).toEqual(['alice/news one', 'alice/news while it was down', 'alice/news and after'])
    expect(project.lines.length).toBeLessThanOrEqual(4)
    next.close()
  })

  it('keeps its position about once a second, also when lines come meanwhile, and later where it could not', async () => {
    const { clock, kept, state, start, copied, print } = copying()
    const logs = start()
    print('one')
    logs.follow(agent, 'run', true)
    await copied(1)
    clock.advance(800)
    print('two')
    await copied(2)
    clock.advance(200)
    await until(() => state.writes === 1, 'the first position')
    const first = kept.get(userLogCursor(agent.id)) ?? 0
    await until(() => clock.nextIn !== undefined, 'the next is planned')
    state.failing = true
    clock.advance(1000)
    await until(() => clock.nextIn === undefined, 'it was not kept')
    state.failing = false
    print('three')
    await copied(3)
    clock.advance(1000)
    await until(() => (kept.get(userLogCursor(agent.id)) ?? 0) > first, 'the newest position')
    expect(state.writes).toBe(2)
    clock.advance(60_000)
    expect([state.writes, clock.nextIn], 'silence costs nothing').toEqual([2, undefined])
    logs.close()
  })

  it('is of teams alone', async () => {
    const { runtime, start, print } = copying()
    print('one')
    const logs = start()
    logs.follow({ ...agent, kind: 'command' }, 'run', true)
    expect(runtime.readers).toBe(0)
    logs.close()
  })
})
