import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { fakeModels, lastText } from '../helpers/fake-models.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { LinkServer, Taken } from '../helpers/link-server.ts'
import { say, startRunner } from '../helpers/team-runner.ts'
import { until } from '../helpers/until.ts'

const echo = () => fakeModels((request) => `re ${lastText(request)}`)

describe('the link to Regent', () => {
  it('says hello, takes a message in, answers it, and is confirmed', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir)
    const runner = await startRunner({ models: echo(), runDir })
    await regent.linked()
    expect(regent.of('hello')).toMatchObject([{ version: 2, agent_id: 'agent-1', run_id: 'run-1', conditions: [] }])
    regent.message('m1', 'hello')
    await until(() => regent.taken.of('done').length === 1, 'the work to end')
    expect(regent.accepted).toEqual(['m1'])
    expect(regent.taken.finals('m1')).toMatchObject([{ content: 're hello', author: 'crew' }])
    // It was whole before a piece of it would have been sent.
    expect(regent.of('delta')).toEqual([])
    await until(() => runner.journal.state.out.length === 0, 'the rows to be confirmed and forgotten')
    expect(regent.of('activity').map((frame) => frame.activity)).toContain('working')
    await until(() => regent.of('activity').at(-1)?.activity === 'idle', 'that it is idle')
    expect(regent.problems).toEqual([])
  })

  it('finds a new Regent on another port within a second, and sends what that one has not seen [I2-LINK-01]', async () => {
    const runDir = temporaryFolder()
    const first = await LinkServer.open(runDir)
    const runner = await startRunner({ models: echo(), runDir })
    await first.linked()
    first.confirms = false
    first.message('m1', 'one')
    await until(() => first.taken.of('done').length === 1, 'the first answer')
    await first.kill()
    await say(runner, 'while nobody listens')

    const begun = performance.now()
    const second = await LinkServer.open(runDir, { taken: first.taken })
    await second.linked()
    expect(performance.now() - begun).toBeLessThan(1_000)
    await until(() => second.taken.of('done').length === 2, 'the second answer')
    expect(second.taken.repeated).toBe(0)
    second.message('m1', 'one')
    second.message('m3', 'three')
    await until(() => second.taken.finals('m3').length === 1, 'the third answer')
    expect(second.taken.finals('m1')).toHaveLength(1)
    expect(second.accepted).toEqual(['m1', 'm3'])
    expect(second.problems).toEqual([])
  })

  it('sends again what Regent has not kept, from its cursor', async () => {
    const runDir = temporaryFolder()
    const first = await LinkServer.open(runDir)
    first.confirms = false
    const runner = await startRunner({ models: echo(), runDir })
    await first.linked()
    first.message('m1', 'one')
    await until(() => first.taken.of('done').length === 1, 'the answer')
    await first.kill()
    const second = await LinkServer.open(runDir, { taken: new Taken() })
    await until(() => second.taken.of('done').length === 1, 'the answer again')
    expect(second.taken.rows).toEqual(first.taken.rows)
    await until(() => runner.journal.state.out.length === 0, 'the rows to be confirmed')
  })

  it('tells after the welcome what came up between it and the hello', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir, { welcomes: false })
    const runner = await startRunner({ models: echo(), runDir })
    await until(() => regent.of('hello').length === 1, 'the hello')
    runner.conditions.raise('tool-server', 'fetch', 'a built-in one stands in')
    await Promise.resolve()
    regent.send({ type: 'welcome', version: 2, cursor: 0 })
    await until(() => regent.of('conditions').length === 1, 'the condition')
    expect(regent.of('hello')[0]?.conditions).toEqual([])
    expect(regent.of('conditions')[0]?.conditions).toMatchObject([{ type: 'tool-server', subject: 'fetch' }])
    expect(regent.of('activity')).toEqual([])
  })

  it('works on without a link, and finds link.json when it comes', async () => {
    const runDir = temporaryFolder()
    const runner = await startRunner({ models: echo(), runDir })
    writeFileSync(join(runDir, 'link.json'), 'not { json')
    await say(runner, 'alone')
    rmSync(join(runDir, 'link.json'))
    const regent = await LinkServer.open(runDir)
    await until(() => regent.taken.of('done').length === 1, 'the answer to come through')
    expect(regent.problems).toEqual([])
  })

  it('leaves a Regent that does not answer for one that link.json names', async () => {
    const runDir = temporaryFolder()
    const silent = createServer(() => {})
    await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as { port: number }
    writeFileSync(join(runDir, 'link.json'), JSON.stringify({ url: `ws://127.0.0.1:${port}/link`, token: 't' }))
    await startRunner({ models: echo(), runDir })
    await until(async () => (await connections(silent)) > 0, 'the runner to try')
    const regent = await LinkServer.open(runDir)
    await until(() => regent.of('hello').length === 1, 'the runner to come over', 2_000)
    expect(regent.problems).toEqual([])
  })

  it('gives up a connection that answers no pings', async () => {
    const runDir = temporaryFolder()
    const hasty = { ...systemClock, after: (ms: number, work: () => void) => systemClock.after(ms / 200, work) }
    const regent = await LinkServer.open(runDir, { welcomes: true })
    await startRunner({ models: echo(), runDir, clock: hasty })
    await regent.linked()
    regent.deafen()
    await until(() => regent.connections >= 2, 'the runner to connect again')
    expect(regent.problems).toEqual([])
  })

  it('tries again with pauses, not in a storm', async () => {
    const runDir = temporaryFolder()
    const tries: number[] = []
    const refusing = createServer((socket) => {
      tries.push(performance.now())
      socket.destroy()
    })
    await new Promise<void>((listening) => refusing.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void refusing.close())
    const { port } = refusing.address() as { port: number }
    writeFileSync(join(runDir, 'link.json'), JSON.stringify({ url: `http://127.0.0.1:${port}`, token: 't' }))
    await startRunner({ models: echo(), runDir })
    await until(() => tries.length >= 6, 'some tries', 15_000)
    const gaps = tries.slice(1).map((at, index) => at - (tries[index] ?? 0))
    expect(Math.min(...gaps)).toBeGreaterThan(40)
  })

  it('is told when Regent refuses the run', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir, { welcomes: false })
    const refused: string[] = []
    await startRunner({ models: echo(), runDir, onRefused: (reason) => refused.push(reason) })
    await regent.linked()
    regent.send({ type: 'refused', reason: 'not the present run' })
    await until(() => refused.length === 1, 'the refusal')
    expect(refused).toEqual(['not the present run'])
  })

  it('takes no more messages in than it has room for, and all of them in the end, in order', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir)
    let go = (): void => {}
    const gate = new Promise<void>((open) => {
      go = open
    })
    const models = fakeModels(async (request) => {
      await gate
      return lastText(request)
    })
    const runner = await startRunner({ models, runDir })
    await regent.linked()
    for (let number = 0; number < 1100; number++) regent.message(`m${number}`, `${number}`)
    await until(() => regent.accepted.length >= 1000, 'the first messages')
    regent.answer('unknown', true)
    await until(() => regent.of('answered').length === 1, 'all frames to be read')
    expect(runner.journal.state.inbox.size).toBeLessThan(1010)
    go()
    await until(() => regent.taken.of('done').length === 1100, 'all answers', 20_000)
    expect(regent.taken.of('done').map((row) => row.message_id)).toEqual(Array.from({ length: 1100 }, (_, number) => `m${number}`))
  })

  it('is not cut by what a model says: rows and pieces are always acceptable', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir)
    const nasty = `a\0b${'\ud83d'}c${'\u{1f642}'}`
    await startRunner({ models: fakeModels(() => nasty), runDir })
    await regent.linked()
    regent.message('m1', 'go')
    await until(() => regent.taken.of('done').length === 1, 'the answer')
    expect(regent.taken.finals('m1')[0]?.content).toBe('a\ufffdb\ufffdc\u{1f642}')
    expect(regent.problems).toEqual([])
    expect(regent.connections).toBe(1)
  })
})

function connections(server: ReturnType<typeof createServer>): Promise<number> {
  return new Promise((resolve, reject) => server.getConnections((error, count) => (error ? reject(error) : resolve(count))))
}
