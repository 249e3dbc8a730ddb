import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { type FakeRegent, fakeRegent } from '../../helpers/run-cli.ts'
import { until } from '../../helpers/until.ts'
import { completedWorker, outputItem, workerView } from '../../helpers/views.ts'

const done = completedWorker()
const failed = workerView({ id: '5555aaaa-0000-4000-8000-000000000003', state: 'failed', failure: 'Exit code 1', error_hint: 'Look.' })
const answer = (given: object = {}) => ({ outcome: 'ended', workers: [done], active: 0, pending_permissions: [], lease: null, ...given })
const asked = (regent: FakeRegent, name: string) =>
  regent.api.requests.filter(({ operation }) => operation === name).map(({ input }) => input)

/** A command that is interrupted when the fake has been asked for something. */
async function interrupted(regent: FakeRegent, args: readonly string[], operation: string) {
  const child = spawn(`${import.meta.dirname}/../../../bin/regent`, args, {
    env: { PATH: process.env.PATH ?? '', REGENT_HOME: regent.home },
    cwd: temporaryFolder(),
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const told = Promise.all([text(child.stdout), text(child.stderr)])
  await until(() => asked(regent, operation).length > 0, `${operation} is asked for`)
  child.kill('SIGINT')
  const [stdout, stderr] = await told
  return { code: await ended, stdout, stderr }
}

describe('regent wait', () => {
  it('waits for the first of this folder, claims it, and prints it with its answer', async () => {
    const regent = await fakeRegent({ 'workers.wait': () => answer({ lease: 'l' }), 'workers.claim': () => ({ claimed: [done.id] }) })
    const cwd = temporaryFolder()
    expect(await regent.run(['wait'], { cwd })).toEqual({
      code: 0,
      stdout: '3f2c1a9e  completed  12s  $0.03  session session-1\n42\n',
      stderr: '',
    })
    expect(asked(regent, 'workers.wait')).toEqual([
      { namespace: `cli:${cwd}`, mode: 'first', claim: 'later', wait: true, permissions: true, timeout: 60_000 },
    ])
    expect(asked(regent, 'workers.claim')).toEqual([{ lease: 'l' }])
  })

  it('waits for all that are named, or all, and fails with one of them', async () => {
    const regent = await fakeRegent({ 'workers.wait': () => answer({ workers: [done, failed] }) })
    expect(await regent.run(['wait', '3f2c', '5555'])).toEqual({
      code: 1,
      stdout: '3f2c1a9e  completed  12s  $0.03  session session-1\n42\n\n5555aaaa  failed  Exit code 1\n',
      stderr: 'hint: Look.\n',
    })
    expect(JSON.parse((await regent.run(['wait', '--all', '--namespace', 'n', '--json'])).stdout)).toEqual([done, failed])
    expect((await regent.run(['wait', '--any', '3f2c', '-o', 'name'])).stdout).toBe(`${done.id}\n${failed.id}\n`)
    expect(asked(regent, 'workers.wait')).toMatchObject([
      { workers: ['3f2c', '5555'], mode: 'all' },
      { namespace: 'n', mode: 'all' },
      { workers: ['3f2c'], mode: 'first' },
    ])
  })

  it('goes on after each minute, for ever', async () => {
    const answers = [answer({ outcome: 'timeout', workers: [], active: 1 }), answer()]
    const regent = await fakeRegent({ 'workers.wait': () => answers.shift() ?? {} })
    expect((await regent.run(['wait'])).code).toBe(0)
    expect(asked(regent, 'workers.wait')).toHaveLength(2)
  })

  it('gives up at its timeout with 124', async () => {
    const regent = await fakeRegent({ 'workers.wait': () => answer({ outcome: 'timeout', workers: [], active: 2 }) })
    const { code, stdout, stderr } = await regent.run(['wait', '--timeout', '1ms'])
    expect({ code, stdout }).toEqual({ code: 124, stdout: '' })
    expect(stderr).toContain('no worker has ended in time; 2 are still active')
    expect(asked(regent, 'workers.wait')[0]?.timeout).toBeLessThanOrEqual(1)
  })

  it('ends a loop with 4 when there is none, which is no failure where all were asked for', async () => {
    const regent = await fakeRegent({ 'workers.wait': () => answer({ outcome: 'none', workers: [] }) })
    const none = 'no worker is active here, and none has ended that was not told\n'
    expect(await regent.run(['wait'])).toEqual({ code: 4, stdout: '', stderr: none })
    expect(await regent.run(['wait', '--all', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: none })
    regent.api.on('workers.wait', () => {
      throw new RegentError('NOT_FOUND', "there is no worker 'zzzz'")
    })
    expect((await regent.run(['wait', 'zzzz'])).code).toBe(4)
    expect((await regent.run(['wait', '--all', 'zzzz'])).code).toBe(2)
  })

  it('tells once which approval stands in the way', async () => {
    const pending = [{ request_id: '7e3c1a9e-0000-4000-8000-000000000001', worker_id: done.id, tool: 'Bash', input: {} }]
    const asks = answer({ outcome: 'permission', workers: [], active: 1, pending_permissions: pending })
    const answers = [asks, answer({ outcome: 'timeout', workers: [], active: 1 }), asks, answer()]
    const regent = await fakeRegent({ 'workers.wait': () => answers.shift() ?? {} })
    const { code, stderr } = await regent.run(['wait'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'worker 3f2c1a9e asks to use Bash: regent approve 7e3c1a9e, or regent reject\n' })
    expect(asked(regent, 'workers.wait').map(({ permissions }) => permissions)).toEqual([true, false, true, false])
  })

  it('survives a restart of Regent, and tells of it once', async () => {
    const regent = await fakeRegent()
    const answers = [
      () => {
        regent.api.cut()
        return {}
      },
      () => {
        throw new RegentError('UNAVAILABLE', 'Regent is shutting down')
      },
      () => answer(),
    ]
    regent.api.on('workers.wait', () => answers.shift()?.() ?? {})
    const { code, stderr } = await regent.run(['wait'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'the connection to Regent is lost; this goes on when it is back\n' })
  })

  it('says where no Regent runs instead of waiting for one', async () => {
    const regent = await fakeRegent()
    await regent.api.close()
    expect(await regent.run(['wait'])).toMatchObject({ code: 1, stderr: expect.stringContaining('nothing listens there') })
  })

  it('leaves workers alone when it is interrupted, and says so', async () => {
    const regent = await fakeRegent({ 'workers.wait': () => new Promise(() => {}) })
    expect(await interrupted(regent, ['wait', '3f2c'], 'workers.wait')).toEqual({
      code: 130,
      stdout: '',
      stderr: 'worker 3f2c goes on; look with: regent peek -f 3f2c, end it with: regent cancel 3f2c\n',
    })
  })
})

describe('regent peek', () => {
  const said = [outputItem({ text: 'I look.' }), outputItem({ kind: 'result', text: '42' })]
  const peeking = (worker = done) =>
    fakeRegent({
      'workers.get': () => worker,
      async *'workers.follow'() {
        for (const data of said) yield { data }
      },
    })

  it('shows what it said, and how it ended', async () => {
    const regent = await peeking()
    expect(await regent.run(['peek', '3f2c'])).toEqual({
      code: 0,
      stdout: 'I look.\n42\n',
      stderr: '3f2c1a9e  completed  12s  $0.03  session session-1\n',
    })
    expect(asked(regent, 'workers.follow')).toEqual([{ worker: done.id, follow: 'false' }])
    expect(JSON.parse((await regent.run(['peek', '3f2c', '--turn', '1', '--json'])).stdout)).toEqual({ worker: done, output: said })
  })

  it('shows one that runs as far as it is', async () => {
    const regent = await peeking(workerView({ state: 'limited', reason: "its provider's limit", retry_at: 1_700_000_000_000 }))
    expect(await regent.run(['peek', '3f2c'])).toEqual({
      code: 0,
      stdout: 'I look.\n',
      stderr: "3f2c1a9e  limited  its provider's limit; goes on at 2023-11-14 22:13:20\n",
    })
  })

  it('follows to the end over a restart of Regent and a limit, each item once, and claims nothing', async () => {
    const regent = await fakeRegent()
    const item = (words: string) => ({ data: outputItem({ text: words }) })
    const states = [workerView(), workerView({ state: 'limited', reason: 'a limit' }), done]
    regent.api.on('workers.get', () => states.shift() ?? done)
    const readings = [['one', 'two'], ['one', 'two', 'three'], ['four']]
    regent.api.on('workers.follow', async function* () {
      const words = readings.shift() ?? []
      for (const one of words) yield item(one)
      await new Promise(setImmediate) // What was written must have left before the connection goes.
      if (readings.length === 2) regent.api.cut()
    } as never)
    const { code, stdout, stderr } = await regent.run(['peek', '-f', '3f2c'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'one\ntwo\nthree\nfour\n42\n' })
    expect(stderr).toContain('the connection to Regent is lost')
    expect(stderr).toContain('3f2c1a9e  limited: a limit')
    expect(asked(regent, 'workers.follow').map(({ turn }) => turn)).toEqual([undefined, '1', undefined])
    expect(regent.api.requests.map(({ operation }) => operation)).not.toContain('workers.claim')
  })

  it('waits for the end of one whose output has ended, without claiming it', async () => {
    const regent = await peeking()
    const states = [workerView(), workerView(), done]
    regent.api.on('workers.get', () => states.shift() ?? done)
    regent.api.on('workers.wait', () => answer())
    const { stdout } = await regent.run(['peek', '-f', '3f2c', '--json'])
    expect(
      stdout
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([...said, { kind: 'ended', worker: done }])
    expect(asked(regent, 'workers.wait')).toMatchObject([{ workers: [done.id], claim: 'no', mode: 'all' }])
  })

  it('leaves it alone when it is interrupted, and says so', async () => {
    const regent = await fakeRegent({
      'workers.get': () => workerView(),
      async *'workers.follow'() {
        yield { data: outputItem() }
        await new Promise(() => {})
      },
    })
    expect(await interrupted(regent, ['peek', '-f', '3f2c'], 'workers.follow')).toMatchObject({
      code: 130,
      stderr: 'worker 3f2c goes on; look with: regent peek -f 3f2c, end it with: regent cancel 3f2c\n',
    })
  })

  it('says that there is none, with 4', async () => {
    const regent = await fakeRegent({
      'workers.get': () => {
        throw new RegentError('NOT_FOUND', "there is no worker 'zzzz'")
      },
    })
    for (const args of [
      ['peek', 'zzzz'],
      ['peek', '-f', 'zzzz'],
    ])
      expect((await regent.run(args)).code).toBe(4)
  })
})

describe('regent resume', () => {
  it('goes on in the session', async () => {
    const regent = await fakeRegent({ 'workers.resume': () => workerView({ state: 'queued', reason: 'waits for its turn', turn: 2 }) })
    expect(await regent.run(['resume', '3f2c', 'And', 'then?', '--timeout', '1m'])).toEqual({
      code: 0,
      stdout: '3f2c1a9e  queued  turn 2  waits for its turn\n',
      stderr: '',
    })
    await regent.run(['resume', '3f2c', '-', '--json'], { stdin: 'more' })
    expect(asked(regent, 'workers.resume')).toEqual([
      { worker: '3f2c', prompt: 'And then?', timeout: 60 },
      { worker: '3f2c', prompt: 'more' },
    ])
    expect((await regent.run(['resume', '3f2c'])).code).toBe(2)
  })
})

describe('regent cancel', () => {
  it('ends workers, and tells how each has ended', async () => {
    const cancelled = workerView({ state: 'cancelled', reason: 'cancelled as asked' })
    const regent = await fakeRegent({
      'workers.cancel': ({ worker }) => {
        if (worker === 'zzzz') throw new RegentError('NOT_FOUND', "there is no worker 'zzzz'")
        return worker === 'slow' ? workerView() : { ...cancelled, id: `${String(worker)}aaaa-0000-4000-8000-000000000001` }
      },
      'workers.list': () => ({ workers: [workerView()], next_cursor: null }),
    })
    const { code, stdout, stderr } = await regent.run(['cancel', '3f2c', 'zzzz', '3f2c'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: '3f2caaaa  cancelled  cancelled as asked\n' })
    expect(stderr).toContain("there is no worker 'zzzz'")
    expect(asked(regent, 'workers.cancel')[0]).toEqual({ worker: '3f2c', wait: true, timeout: 60_000 })
    expect(await regent.run(['cancel', 'slow'])).toMatchObject({ code: 124, stderr: expect.stringContaining('has not ended yet') })
    expect(await regent.run(['cancel', 'slow', '--no-wait', '-o', 'name'])).toEqual({ code: 0, stdout: `${workerView().id}\n`, stderr: '' })
    expect(JSON.parse((await regent.run(['cancel', 'all', '--json', '--no-wait'])).stdout)).toHaveLength(1)
    expect(asked(regent, 'workers.list')).toMatchObject([{ states: 'queued,running,limited' }])
  })
})
