import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { until } from '../../helpers/until.ts'
import { WorkerWorld } from '../../helpers/worker-world.ts'

/** Goes on with the clock until something has come about. */
async function advanceUntil(clock: FakeClock, ms: number, predicate: () => Promise<boolean>, what: string): Promise<void> {
  await until(async () => {
    if (await predicate()) return true
    clock.advance(ms)
    return false
  }, what)
}

async function clocked(options: Parameters<typeof WorkerWorld.open>[0] = {}) {
  const clock = new FakeClock(1_800_000_000_000)
  const workers = await WorkerWorld.open({ clock, ...options })
  const is = async (id: string, state: string) => (await workers.get(id)).state === state
  return { clock, workers, is }
}

describe('a turn', () => {
  it('that takes too long is ended, and says so in the words of the worker tools', async () => {
    const { clock, workers, is } = await clocked()
    const { id } = await workers.create({ timeout: 30 })
    const run = await workers.run(id)
    clock.advance(29_999)
    expect(run.stops).toBe(0)
    clock.advance(1)
    await advanceUntil(clock, 100, () => is(id, 'failed'), 'its end')
    expect(run.stops).toBe(1)
    expect(await workers.get(id)).toMatchObject({
      failure_kind: 'timeout',
      failure: 'Claude process timed out after 30 seconds',
      error_hint: 'Timed out. Increase timeout parameter.',
    })
  })

  it('that answered while Regent was down past its time limit has answered', async () => {
    const { clock, workers } = await clocked()
    const { id } = await workers.create({ timeout: 30 })
    const run = await workers.run(id)
    workers.print(run, { type: 'result', result: 'in time', session_id: 's', is_error: false })
    const { startedAt } = run
    const reborn = workers.world.reborn()
    run.end({ kind: 'exited', code: 0, at: startedAt + 10_000 })
    clock.stall(60_000)
    await reborn
    await until(async () => {
      clock.advance(0)
      return (await workers.get(id)).state === 'completed'
    }, 'its answer')
    expect(await workers.get(id)).toMatchObject({ result: 'in time', failure: null })
  })

  it('that was ended at its time limit by a Regent before this one has timed out', async () => {
    const { clock, workers, is } = await clocked()
    const { id } = await workers.create({ timeout: 30 })
    const run = await workers.run(id)
    run.holdStop = true
    clock.advance(30_000)
    await until(() => run.stops === 1, 'the stop')
    await workers.world.reborn()
    run.end({ kind: 'signalled', signal: 'SIGTERM', code: 143, at: clock.now() })
    await advanceUntil(clock, 10, () => is(id, 'failed'), 'its end')
    expect(await workers.get(id)).toMatchObject({ failure_kind: 'timeout', exit_code: 143 })
  })

  it('goes on in the session, keeps its timeout, and adds to what was used', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ timeout: 77 })
    await workers.answer(id, 'one', { session: 's-1' })
    await workers.wait()
    expect(await workers.resume(id)).toMatchObject({ turn: 2, timeout: 77, claimed: false, result: null, prompt: 'more' })
    const run = await workers.run(id)
    expect(run.spec.argv.slice(1, 5)).toEqual(['--resume', 's-1', '-p', 'more'])
    await workers.answer(id, 'two', { session: 's-2' })
    expect(await workers.get(id)).toMatchObject({ result: 'two', session_id: 's-2', usage: { cost_usd: 1, input_tokens: 20 } })
    expect(await workers.resume(id, { timeout: 5 })).toMatchObject({ turn: 3, timeout: 5 })
    const turns = await workers.world.store.read.workers.turns(id)
    expect(turns.map(({ turn, prompt, state, costUsd }) => [turn, prompt, state, costUsd])).toMatchObject([
      [1, 'say hi', 'completed', 0.5],
      [2, 'more', 'completed', 0.5],
      [3, 'more', expect.any(String), null],
    ])
  })

  it('is not resumed while it is active, unclaimed where that matters, or without a session', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const run = await workers.run(id)
    await expect(workers.resume(id)).rejects.toMatchObject({ code: 'ILLEGAL_STATE', message: expect.stringContaining('still active') })
    run.end({ kind: 'exited', code: 1, at: 1 })
    await workers.over(id)
    await expect(workers.resume(id, { claimed_only: true })).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
    const other = await workers.create({}, undefined)
    await workers.cancel(other.id)
    if ((await workers.get(other.id)).started_at === null)
      await expect(workers.resume(other.id)).rejects.toMatchObject({ details: { what: 'session' } })
  })

  it('prints what no store can hold', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ agent: 'command', command: ['prog'] })
    const run = await workers.run(id)
    workers.print(run, 'nul \0 and half \ud800')
    run.end({ kind: 'exited', code: 0, at: 1 })
    await workers.over(id)
    expect(await workers.get(id)).toMatchObject({ state: 'completed', result: 'nul � and half �' })
  })
})

describe('a budget', () => {
  it('in money is told to the CLI; once it is spent no turn begins', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ budget: { usd: 1 } })
    const run = await workers.run(id)
    expect(run.spec.argv).toContain('--max-budget-usd')
    await workers.answer(id, 'dear', { cost: 1.5 })
    await workers.resume(id)
    await workers.state(id, 'failed')
    expect(await workers.get(id)).toMatchObject({ failure_kind: 'budget', failure: 'its budget in money is spent' })
    expect(workers.runtime.runs).toHaveLength(1)
  })

  it('in tokens ends a run in its middle', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ budget: { tokens: 100 } })
    const run = await workers.run(id)
    workers.says(run, 'a', { input_tokens: 60, output_tokens: 40 })
    workers.says(run, 'b', { input_tokens: 1, output_tokens: 0 })
    await workers.state(id, 'failed')
    expect(run.stops).toBe(1)
    expect(await workers.get(id)).toMatchObject({ failure_kind: 'budget', usage: { input_tokens: 61, output_tokens: 40 } })
  })

  it('in time ends a run before its time limit', async () => {
    const { clock, workers, is } = await clocked()
    const { id } = await workers.create({ budget: { seconds: 10 } })
    const run = await workers.run(id)
    clock.advance(10_000)
    await advanceUntil(clock, 10, () => is(id, 'failed'), 'its end')
    expect(run.stops).toBe(1)
    expect(await workers.get(id)).toMatchObject({ failure_kind: 'budget', failure: 'its budget in time is spent' })
  })

  it('of an owner binds all his workers, those that run too, and nobody else', async () => {
    const workers = await WorkerWorld.open({ workerLimits: { ownerBudget: { usd: null, tokens: 100, seconds: null } } })
    const [one, two] = [await workers.create(), await workers.create()]
    const [first, second] = [await workers.run(one.id), await workers.run(two.id)]
    workers.says(first, 'a', { input_tokens: 60, output_tokens: 0 })
    workers.says(second, 'b', { input_tokens: 41, output_tokens: 0 })
    for (const { id } of [one, two]) await workers.state(id, 'failed')
    expect(await workers.get(one.id)).toMatchObject({ failure_kind: 'budget', failure: 'the budget of ann in tokens is spent' })
    const third = await workers.create()
    await workers.state(third.id, 'failed')
    expect(await workers.get(third.id)).toMatchObject({ failure: 'its budget in tokens is spent', started_at: null })
    const bobs = await workers.world.call<{ id: string }>('workers.create', { worker: { prompt: 'x', owner: 'bob' } })
    await workers.run(bobs.id)
  })
})

describe("a provider's limit", () => {
  const limited = { type: 'rate_limit_event', rate_limit_info: { status: 'rejected', resetsAt: 1_800_000_600, rateLimitType: 'five_hour' } }

  it('is waited out, and the turn goes on in its session', async () => {
    const { clock, workers, is } = await clocked()
    const { id } = await workers.create({ env: { A: 'b' } })
    const run = await workers.run(id)
    workers.begins(run, 's-1')
    workers.print(run, limited)
    workers.ends(run, 'limit reached', { isError: true, session: 's-1' })
    await advanceUntil(clock, 10, () => is(id, 'limited'), 'that it waits')
    const { retry_at } = await workers.get(id)
    expect(retry_at).toBe(1_800_000_600_000 + 2500)
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'timeout', active: 1 })
    clock.advance((retry_at ?? 0) - clock.now() - 1)
    expect(workers.runtime.alive).toHaveLength(0)
    clock.advance(1)
    const again = await workers.run(id)
    expect(again.spec.argv).toEqual(expect.arrayContaining(['--resume', 's-1']))
    expect(again.spec.env.A).toBe('b')
    expect(await workers.get(id)).toMatchObject({ turn: 1, retry_at: null })
    workers.ends(again, 'at last', { session: 's-1' })
    await advanceUntil(clock, 10, () => is(id, 'completed'), 'its end')
  })

  it('fails the turn where it is not to be waited for', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ wait_limits: false })
    const run = await workers.run(id)
    workers.print(run, limited)
    workers.ends(run, 'limit reached', { isError: true })
    await workers.over(id)
    expect(await workers.get(id)).toMatchObject({ state: 'failed', failure_kind: 'limit' })
  })

  it('is left at once by one that is cancelled, also where Regent was restarted in between', async () => {
    const { clock, workers, is } = await clocked()
    const made = [await workers.create(), await workers.create()]
    for (const { id } of made) {
      const run = await workers.run(id)
      workers.print(run, limited)
      workers.ends(run, 'limit', { isError: true })
      await advanceUntil(clock, 10, () => is(id, 'limited'), 'that it waits')
    }
    expect(await workers.cancel(made[0]?.id ?? '')).toMatchObject({ state: 'cancelled' })
    await workers.world.reborn()
    expect(await workers.get(made[1]?.id ?? '')).toMatchObject({ state: 'limited' })
    expect(await workers.cancel(made[1]?.id ?? '')).toMatchObject({ state: 'cancelled' })
  })
})
