import { describe, expect, it } from 'vitest'
import { admin, userCalled } from '../../helpers/core-world.ts'
import { until } from '../../helpers/until.ts'
import { ann, bob, WorkerWorld } from '../../helpers/worker-world.ts'

describe('a worker', () => {
  it('is queued, started, read and completed, with its events in order', async () => {
    const workers = await WorkerWorld.open()
    const made = await workers.create({ label: 'one' })
    expect(made).toMatchObject({ owner: 'ann', namespace: 'default', agent: 'claude', turn: 1, claimed: false, timeout: 300 })
    const run = await workers.run(made.id)
    expect(run.spec.argv.slice(0, 3)).toEqual(['/usr/bin/claude', '-p', 'say hi'])
    workers.begins(run)
    workers.says(run, 'thinking')
    workers.ends(run, '42')
    const { workers: ended } = await workers.wait()
    expect(ended).toMatchObject([
      { id: made.id, state: 'completed', result: '42', session_id: 'session-1', exit_code: 0, failure: null, claimed: true },
    ])
    expect(ended[0]?.usage).toMatchObject({ input_tokens: 10, output_tokens: 5, cost_usd: 0.5 })
    expect(await workers.events(made.id)).toEqual([
      ...['worker.queued', 'worker.started', 'worker.session', 'worker.said', 'worker.usage', 'worker.completed', 'worker.claimed'],
    ])
    const { stdout, stderr } = await workers.world.call<{ stdout: string; stderr: string }>('workers.document', { worker: made.id }, ann)
    expect(JSON.parse(stdout)).toMatchObject({ result: '42', session_id: 'session-1' })
    expect(stderr).toBe('')
  })

  it('fails with the exit code, what it said last, and a hint', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    await workers.exit(id, 3, 'connection refused')
    await workers.state(id, 'failed')
    expect(await workers.get(id)).toMatchObject({
      failure_kind: 'exit',
      failure: 'Exit code 3: connection refused',
      exit_code: 3,
      error_hint: 'Connection failed. Check MCP server is running.',
    })
  })

  it('fails before it is started where its folder is not there, or its program has gone', async () => {
    const files = { isFolder: async () => false }
    const { workerFiles } = (await import('../../helpers/fake-workers.ts')).fakeWorkers()
    const workers = await WorkerWorld.open({ over: { workerFiles: { ...workerFiles, ...files } } })
    const { id } = await workers.create({ cwd: '/nowhere' })
    await workers.state(id, 'failed')
    expect(await workers.get(id)).toMatchObject({ failure_kind: 'start', failure: 'the folder /nowhere is not there' })
    expect(workers.runtime.runs).toHaveLength(0)
  })

  it('is refused where its program is not in PATH: Claude not in PATH', async () => {
    const { codingAgents } = (await import('../../helpers/fake-workers.ts')).fakeWorkers()
    const workers = await WorkerWorld.open({ over: { codingAgents: { ...codingAgents, locate: async () => undefined } } })
    await expect(workers.create()).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'Claude not in PATH' })
    expect(await workers.wait()).toMatchObject({ outcome: 'none' })
  })

  it('cancelled while queued, running and after its end', async () => {
    const workers = await WorkerWorld.open({ workerLimits: { running: 1 } })
    const first = await workers.create()
    const second = await workers.create()
    await workers.run(first.id)
    expect(await workers.cancel(second.id)).toMatchObject({ state: 'cancelled', failure: 'cancelled', started_at: null })
    expect(await workers.cancel(first.id)).toMatchObject({ state: 'cancelled', error_hint: 'Cancelled.' })
    expect(workers.runtime.alive).toHaveLength(0)
    expect(await workers.cancel(first.id)).toMatchObject({ state: 'cancelled' })
    expect((await workers.events(first.id)).filter((type) => type === 'worker.cancelled')).toHaveLength(1)
  })

  it('keeps its variables as secrets, away from rows, events and arguments', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ env: { TOKEN: 'hunter2-secret' } })
    const run = await workers.run(id)
    expect(run.spec.env.TOKEN).toBe('hunter2-secret')
    expect(JSON.stringify([run.spec.argv, run.spec.record, run.spec.label])).not.toContain('hunter2')
    const rows = [await workers.world.store.read.workers.get(id), await workers.world.store.read.workers.turns(id)]
    const events = await workers.world.store.read.events.list({ after: 0, limit: 100 })
    expect(JSON.stringify([rows, events, await workers.get(id)])).not.toContain('hunter2')
    await workers.cancel(id)
    await workers.world.call('workers.delete', { worker: id }, ann)
    expect(await workers.world.secrets.get(id)).toEqual({})
  })
})

describe('who may', () => {
  it("not see or touch another user's workers", async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const names = ['get', 'cancel', 'delete', 'output', 'document'] as const
    for (const name of names)
      await expect(workers.world.call(`workers.${name}`, { worker: id }, bob), name).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(workers.resume(id, {}, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(workers.wait({ owner: 'ann', wait: false }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(workers.wait({ workers: [id], wait: false }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(workers.create({ owner: 'ann' }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(await workers.world.call('workers.list', {}, bob)).toMatchObject({ workers: [] })
    expect(await workers.world.call('workers.list', {}, ann)).toMatchObject({ workers: [{ id }] })
    expect(await workers.world.call('workers.list', { owner: 'bob' }, admin)).toMatchObject({ workers: [] })
    expect(await workers.world.call('workers.list', {}, admin)).toMatchObject({ workers: [{ id }] })
  })

  it('read alone with the role read-only', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const reader = { ...ann, role: 'read-only' as const }
    expect(await workers.get(id, reader)).toMatchObject({ id })
    for (const act of [() => workers.create({}, reader), () => workers.wait({ wait: false }, reader), () => workers.cancel(id, {}, reader)])
      await expect(act()).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  it('have the rights of Regent: an admin for himself alone, not whoever he makes a worker for', async () => {
    const workers = await WorkerWorld.open()
    const his = await workers.create({}, admin)
    const hers = await workers.create({ owner: 'ann' }, admin)
    expect((await workers.run(his.id)).spec.ownAccount).toBe(true)
    expect((await workers.run(hers.id)).spec.ownAccount).toBeUndefined()
    await workers.answer(his.id)
    await expect(workers.resume(his.id, {}, userCalled('root'))).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })
})

describe('a command that is repeated with its key', () => {
  it('makes one worker, and answers the same also where its crew is full by now', async () => {
    const workers = await WorkerWorld.open({ workerLimits: { maxActive: 1 } })
    const first = await workers.create({ queue: false, env: { A: 'b' } }, ann, 'k1')
    const again = await workers.create({ queue: false, env: { A: 'b' } }, ann, 'k1')
    expect(again.id).toBe(first.id)
    expect((await workers.run(first.id)).spec.env.A).toBe('b')
    expect(workers.runtime.runs).toHaveLength(1)
    expect(await workers.world.call('workers.list', {}, ann)).toMatchObject({ workers: [{ id: first.id }] })
  })

  it('resumes once', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    await workers.answer(id)
    await workers.resume(id, {}, ann, 'k2')
    const run = await workers.run(id)
    expect(await workers.resume(id, {}, ann, 'k2')).toMatchObject({ turn: 2 })
    expect(workers.runtime.of(id)).toBe(run)
    expect(workers.runtime.runs).toHaveLength(2)
  })
})

describe('forgetting', () => {
  it('takes an ended worker with all that is kept of it, and counts on what it took', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    await workers.run(id)
    await expect(workers.world.call('workers.delete', { worker: id }, ann)).rejects.toMatchObject({ code: 'ILLEGAL_STATE' })
    await workers.answer(id, 'hi', { cost: 2 })
    const before = await workers.world.call('workers.budget', {}, ann)
    expect(before).toMatchObject({ spent: { usd: 2, tokens: 15 } })
    expect(await workers.world.call('workers.delete', { worker: id }, ann)).toEqual({ id, deleted: true })
    await expect(workers.get(id)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    expect(workers.runtime.removed).toContain(id)
    expect(await workers.wait({ wait: false })).toMatchObject({ outcome: 'none' })
    expect(await workers.world.call('workers.budget', {}, ann)).toEqual(before)
    expect(await workers.world.store.read.workers.turns(id)).toMatchObject([{ prompt: '', runId: null }])
  })

  it('keeps old ends that nobody has claimed', async () => {
    const workers = await WorkerWorld.open()
    const [one, two] = [await workers.create(), await workers.create()]
    await workers.answer(one.id)
    await workers.answer(two.id)
    await workers.wait({ workers: [one.id] })
    const { old } = workers.world.store.read.workers
    expect(await old.call(workers.world.store.read.workers, Date.now() + 1000, 10)).toEqual([one.id])
  })
})

describe('output', () => {
  it('is read in pages of lines while it runs', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create({ agent: 'command', command: ['prog'] })
    const run = await workers.run(id)
    for (const line of ['one', 'two', 'three']) workers.print(run, line)
    const read = (from: number, limit: number) => workers.world.call('workers.output', { worker: id, from, limit }, ann)
    expect(await read(0, 8)).toEqual({ text: 'one\ntwo\n', from: 0, next: 2, more: true, ended: false })
    expect(await read(2, 8)).toEqual({ text: 'three\n', from: 2, next: 3, more: false, ended: false })
    run.end({ kind: 'exited', code: 0, at: 1 })
    await workers.state(id, 'completed')
    expect(await read(3, 8)).toEqual({ text: '', from: 3, next: 3, more: false, ended: true })
  })

  it('is followed from its start to the end of the turn', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const run = await workers.run(id)
    const signal = new AbortController().signal
    const items: unknown[] = []
    const stream = workers.world.core.open('workers.follow', { worker: id }, { caller: ann, signal })
    const done = (async () => {
      for await (const item of stream) items.push(item)
    })()
    workers.begins(run)
    workers.says(run, 'working')
    await until(() => items.length >= 2, 'what it says')
    workers.ends(run, 'done')
    await done
    expect(items).toMatchObject([
      { kind: 'session' },
      { kind: 'text', text: 'working' },
      { kind: 'usage' },
      { kind: 'result', text: 'done' },
    ])
  })
})
