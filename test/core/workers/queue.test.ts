import { describe, expect, it } from 'vitest'
import { Queue, type Queued } from '../../../src/core/workers/queue.ts'
import type { WorkerLimits } from '../../../src/core/workers/working.ts'
import { workerLimits } from '../../helpers/fake-workers.ts'

const queueOf = (over: Partial<WorkerLimits> = {}) => new Queue({ ...workerLimits, ...over })
const one = (id: string, over: Partial<Queued> = {}): Queued => ({
  ...{ id, owner: 'ann', namespace: 'default', agent: 'claude', priority: 0, queuedAt: 0 },
  ...over,
})

function takeAll(queue: Queue): string[] {
  const taken: string[] = []
  for (let id = queue.take(); id !== undefined; id = queue.take()) taken.push(id)
  return taken
}

describe('the queue', () => {
  it('starts those of the highest priority first, of those the one that has waited longest', () => {
    const queue = queueOf()
    queue.add(one('c', { queuedAt: 2 }))
    queue.add(one('b', { queuedAt: 1 }))
    queue.add(one('a', { queuedAt: 2 }))
    queue.add(one('low', { priority: -1, queuedAt: 0 }))
    queue.add(one('high', { priority: 5, queuedAt: 9 }))
    expect(takeAll(queue)).toEqual(['high', 'b', 'a', 'c', 'low'])
    expect(queue.size).toEqual({ waiting: 0, running: 5 })
  })

  it('holds to the limit of all, and says why one waits', () => {
    const queue = queueOf({ running: 2 })
    for (const id of ['a', 'b', 'c']) queue.add(one(id))
    expect(takeAll(queue)).toEqual(['a', 'b'])
    expect(queue.why(one('c'))).toBe('2 workers run at once at most')
    queue.remove('a')
    expect(takeAll(queue)).toEqual(['c'])
  })

  it.each([
    ['an owner', { runningPerOwner: 1 }, one('b'), one('x', { owner: 'bob' }), '1 workers of ann run at once at most'],
    [
      'a namespace',
      { runningPerNamespace: 1 },
      one('b'),
      one('x', { namespace: 'other' }),
      '1 workers of its namespace run at once at most',
    ],
    ['an agent', { runningPerAgent: { claude: 1 } }, one('b'), one('x', { agent: 'codex' }), '1 workers of claude run at once at most'],
  ])('holds to the limit of %s, and lets others pass by', (_what, limits, waiting, other, why) => {
    const queue = queueOf(limits)
    queue.add(one('a'))
    queue.add(waiting)
    queue.add({ ...other, queuedAt: 5 })
    expect(takeAll(queue)).toEqual(['a', 'x'])
    expect(queue.why(waiting)).toBe(why)
    expect(queue.why(one('y', { owner: 'cat', namespace: 'third', agent: 'gemini' }))).toBeUndefined()
    queue.remove('a')
    expect(takeAll(queue)).toEqual(['b'])
  })

  it('tells namespaces of the same name apart by their owner', () => {
    const queue = queueOf({ runningPerNamespace: 1 })
    queue.add(one('a'))
    queue.add(one('b', { owner: 'bob' }))
    expect(takeAll(queue)).toEqual(['a', 'b'])
  })

  it('counts what was found running whatever the limits say, each once', () => {
    const queue = queueOf({ running: 1 })
    for (const id of ['a', 'b', 'b']) queue.occupy(one(id))
    queue.add(one('b'))
    queue.add(one('c'))
    expect(queue.size).toEqual({ waiting: 1, running: 2 })
    queue.remove('a')
    expect(queue.take()).toBeUndefined()
    queue.remove('b')
    queue.remove('b')
    expect(queue.take()).toBe('c')
  })
})
