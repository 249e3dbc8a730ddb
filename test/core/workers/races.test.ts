import { describe, expect, it } from 'vitest'
import type { RaceView } from '../../../src/contract/workers.ts'
import { admin } from '../../helpers/core-world.ts'
import { fakeWorkers } from '../../helpers/fake-workers.ts'
import { until } from '../../helpers/until.ts'
import { ann, bob, WorkerWorld } from '../../helpers/worker-world.ts'

/** Attempts in git worktrees, whose removal is noted. */
async function racing(over: object = {}, options: Parameters<typeof WorkerWorld.open>[0] = {}) {
  const removed: string[] = []
  const worktrees = { ...fakeWorkers().worktrees, isRepository: async () => true, remove: async (id: string) => void removed.push(id) }
  const workers = await WorkerWorld.open({ over: { worktrees }, ...options })
  const race = await workers.world.call<RaceView>('races.create', { race: { prompt: 'do it', worker: { cwd: '/repo' }, ...over } }, ann)
  const ids = race.attempts.map(({ worker }) => worker.id) as [string, string, string]
  const get = () => workers.world.call<RaceView>('races.get', { race: race.id }, ann)
  const decided = () => workers.world.call<RaceView>('races.get', { race: race.id, wait: true, timeout: 10_000 }, ann)
  const clean = async () => {
    await until(async () => (await get()).attempts.every(({ worker }) => worker.ended_at !== null && worker.claimed), 'that it is clean')
  }
  return { workers, race, ids, get, decided, clean, removed }
}

/** The judge of an attempt, once it is there. */
async function judgeOf(workers: WorkerWorld, race: string, attempt: number): Promise<string> {
  const label = `judge of attempt ${attempt}`
  let found: string | undefined
  await until(async () => {
    const rows = await workers.world.store.read.workers.list({ raceId: race, limit: 100 })
    found = rows.find((row) => row.label === label)?.id
    return found !== undefined
  }, label)
  return found ?? ''
}

async function judged(workers: WorkerWorld, id: string, line: string, code = 0): Promise<void> {
  const run = await workers.run(id)
  workers.print(run, line)
  run.end({ kind: 'exited', code, at: Date.now() })
}

describe('a race', () => {
  it('by the first: the winner is kept, the losers are ended, cleaned up and told nobody', async () => {
    const { workers, race, ids, decided, clean, removed } = await racing()
    expect(race).toMatchObject({ state: 'running', winner: null, judge: { by: 'first' } })
    const runs = await Promise.all(ids.map((id) => workers.run(id)))
    expect(new Set(runs.map(({ spec }) => spec.cwd)).size).toBe(3)
    workers.ends(runs[1] as (typeof runs)[1], 'mine')
    const view = await decided()
    expect(view).toMatchObject({ state: 'decided', reason: 'it answered first', winner: { id: ids[1], result: 'mine' } })
    await clean()
    expect(workers.runtime.alive).toHaveLength(0)
    // Removing what is removed is success, so it may be asked for again.
    await until(() => new Set(removed).size === 2, 'the folders of the losers')
    expect([...new Set(removed)].toSorted()).toEqual([ids[0], ids[2]].toSorted())
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'none' })
    const inside = () => workers.wait({ wait: false, namespace: `race/${race.id}` })
    await until(async () => (await inside()).outcome === 'none', 'that nobody is told of them')
  })

  it('fails when no attempt answers', async () => {
    const { workers, ids, decided } = await racing({ n: 2 })
    for (const id of ids) await workers.exit(id, 1)
    expect(await decided()).toMatchObject({ state: 'failed', reason: 'no attempt has answered', winner: null })
  })

  it('takes agents and models in turns', async () => {
    const { race } = await racing({ n: 3, variants: [{ model: 'a' }, { agent: 'claude', model: 'b' }] })
    expect(race.attempts.map(({ worker }) => worker.model)).toEqual(['a', 'b', 'a'])
  })

  it('by a command: the first for which it succeeds, in the folder of the attempt', async () => {
    const { workers, race, ids, decided } = await racing({
      judge: { by: 'command', command: 'npm test' },
      worker: { cwd: '/repo', env: { A: 'b' } },
    })
    await workers.answer(ids[0])
    const first = await judgeOf(workers, race.id, 1)
    const judge = await workers.run(first)
    expect(judge.spec).toMatchObject({ cwd: (await workers.get(ids[0])).cwd, env: { REGENT_ATTEMPT: '1', A: 'b' } })
    expect(judge.spec.argv.slice(1, 3)).toEqual(['-c', 'npm test'])
    await judged(workers, first, 'it is broken', 1)
    await workers.answer(ids[2])
    await judged(workers, await judgeOf(workers, race.id, 3), 'fine')
    const view = await decided()
    expect(view).toMatchObject({ state: 'decided', winner: { id: ids[2] } })
    expect(view.attempts.map(({ verdict }) => verdict)).toEqual(['refused', 'lost', 'won'])
  })

  it('by a score: the highest number of all that have one', async () => {
    const { workers, race, ids, decided } = await racing({ judge: { by: 'score', command: './score' } })
    for (const id of ids) await workers.answer(id)
    for (const [at, line] of ['score: 3', 'score: 12.5', 'none'].entries())
      await judged(workers, await judgeOf(workers, race.id, at + 1), line)
    const view = await decided()
    expect(view).toMatchObject({ state: 'decided', reason: 'its score is the highest: 12.5', winner: { id: ids[1] } })
    expect(view.attempts.map(({ score, verdict }) => [score, verdict])).toEqual([
      [3, 'lost'],
      [12.5, 'won'],
      [null, 'refused'],
    ])
  })

  it('by a model: it reads all answers, however long, and names the best', async () => {
    const { workers, race, ids, decided } = await racing({ judge: { by: 'model', criteria: 'the shorter' } })
    for (const id of ids) await workers.answer(id, `answer of ${id} ${'x'.repeat(60_000)}`)
    let judge: string | undefined
    await until(async () => {
      judge = (await workers.world.store.read.workers.list({ raceId: race.id, limit: 10 })).find(({ label }) => label === 'judge')?.id
      return judge !== undefined
    }, 'the judge')
    const run = await workers.run(judge ?? '')
    const prompt = run.spec.argv.find((word) => word.includes('<task>')) ?? ''
    for (const id of ids) expect(prompt).toContain(`answer of ${id}`)
    expect(prompt).toContain('the shorter')
    expect(Buffer.byteLength(prompt)).toBeLessThan(128 * 1024)
    workers.ends(run, 'I think it is 2')
    expect(await decided()).toMatchObject({ state: 'decided', winner: { id: ids[1] } })
  })

  it('is cancelled with all its attempts', async () => {
    const { workers, race, ids, clean } = await racing()
    await Promise.all(ids.map((id) => workers.run(id)))
    expect(await workers.world.call('races.cancel', { race: race.id }, ann)).toMatchObject({ state: 'cancelled' })
    await clean()
    expect(workers.runtime.alive).toHaveLength(0)
    expect(await workers.world.call('races.cancel', { race: race.id }, ann)).toMatchObject({ state: 'cancelled' })
  })

  it("is another user's secret", async () => {
    const { workers, race } = await racing()
    for (const name of ['races.get', 'races.cancel'])
      await expect(workers.world.call(name, { race: race.id }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await workers.world.call('races.list', {}, bob)).toMatchObject({ races: [] })
    expect(await workers.world.call('races.list', {}, ann)).toMatchObject({ races: [{ id: race.id }] })
    expect(await workers.world.call('races.list', {}, admin)).toMatchObject({ races: [{ id: race.id }] })
  })

  it('made twice with one key is one race', async () => {
    const workers = await WorkerWorld.open()
    const make = () => workers.world.call<RaceView>('races.create', { race: { prompt: 'x', n: 2 } }, ann, 'k')
    expect((await make()).id).toBe((await make()).id)
    await until(() => workers.runtime.runs.length === 2, 'its runs')
    expect(workers.runtime.runs).toHaveLength(2)
  })
})

describe('a race and a restart of Regent', () => {
  it('in its middle: attempts are taken up, and the race is decided', async () => {
    const { workers, ids, decided, clean } = await racing()
    const runs = await Promise.all(ids.map((id) => workers.run(id)))
    await workers.world.reborn()
    workers.ends(runs[0] as (typeof runs)[0], 'done')
    expect(await decided()).toMatchObject({ state: 'decided', winner: { id: ids[0] } })
    await clean()
  })

  it('while it is judged: no attempt is judged twice', async () => {
    const { workers, race, ids, decided } = await racing({ n: 2, judge: { by: 'command', command: 'true' } })
    await workers.answer(ids[0])
    const judge = await judgeOf(workers, race.id, 1)
    await workers.run(judge)
    await workers.world.reborn()
    await judged(workers, judge, 'fine')
    expect(await decided()).toMatchObject({ winner: { id: ids[0] } })
    const rows = await workers.world.store.read.workers.list({ raceId: race.id, limit: 100 })
    expect(rows.filter(({ label }) => label?.startsWith('judge'))).toHaveLength(1)
  })

  it('right after it was decided: the losers are still ended', async () => {
    const { workers, race, ids, clean } = await racing()
    await Promise.all(ids.map((id) => workers.run(id)))
    const change = { state: 'decided', winner: null, endedAt: Date.now(), reason: 'as if' } as const
    await workers.world.store.transaction((tables) => tables.races.update(race.id, change))
    await workers.world.reborn()
    await clean()
    expect(workers.runtime.alive).toHaveLength(0)
  })
})

it('a winner that somebody goes on with is left alone by its race', async () => {
  const { workers, ids, decided } = await racing({ n: 2 })
  const [winner, loser] = await Promise.all([workers.run(ids[0]), workers.run(ids[1])])
  loser.holdStop = true
  workers.ends(winner, 'mine')
  await decided()
  await until(() => loser.stops > 0, 'the stop of the loser')
  await until(async () => (await workers.get(ids[0])).claimed, 'that the winner is claimed')
  await workers.resume(ids[0])
  const second = await workers.run(ids[0])
  loser.end({ kind: 'signalled', signal: 'SIGTERM', code: 143, at: Date.now() })
  await workers.over(ids[1])
  workers.ends(second, 'more')
  await workers.over(ids[0])
  expect(await workers.get(ids[0])).toMatchObject({ state: 'completed', result: 'more', turn: 2 })
})
