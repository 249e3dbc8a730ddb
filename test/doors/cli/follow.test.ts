import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { until } from '../../helpers/until.ts'
import { agentView, eventView, systemStatus } from '../../helpers/views.ts'

async function* lines(agent: string, ...texts: string[]) {
  for (const text of texts) yield { data: { run_id: 'r', stream: 'stdout', at: 1_700_000_000_000, text: `${agent} ${text}` } }
}

describe('regent logs', () => {
  it('prints lines as they are, the last 100 by default', async () => {
    const regent = await fakeRegent({ 'agents.logs': () => lines('news', 'one', '\x1b[31mtwo') })
    expect(await regent.run(['logs', 'news'])).toEqual({ code: 0, stdout: 'news one\nnews \x1b[31mtwo\n', stderr: '' })
    expect(regent.api.requests[0]?.input).toEqual({ agent: 'news', tail: '100', follow: 'false' })
  })

  it('puts the name before the lines of several', async () => {
    const regent = await fakeRegent({
      'agents.list': () => ({ agents: [agentView(), agentView({ id: 'other', name: 'second' })], next_cursor: null }),
      'agents.logs': ({ agent }) => lines(String(agent).slice(0, 5), 'line'),
    })
    const { stdout } = await regent.run(['logs', '*', '-n', '5', '-t'])
    expect(stdout.split('\n').sort()).toEqual([
      '',
      'alice/news   | 2023-11-14 22:13:20 3f2c1 line',
      'alice/second | 2023-11-14 22:13:20 other line',
    ])
  })

  it('prints one JSON object a line', async () => {
    const regent = await fakeRegent({ 'agents.logs': () => lines('news', 'one') })
    expect(JSON.parse((await regent.run(['logs', 'news', '--json'])).stdout)).toEqual({
      agent: 'news',
      run_id: 'r',
      stream: 'stdout',
      at: 1_700_000_000_000,
      text: 'news one',
    })
  })

  it('suggests the agent that was meant', async () => {
    const regent = await fakeRegent({
      'agents.list': () => ({ agents: [agentView()], next_cursor: null }),
      'agents.logs': () => {
        throw new RegentError('NOT_FOUND', 'there is no agent nws')
      },
    })
    const { code, stderr } = await regent.run(['logs', 'nws'])
    expect(code).toBe(4)
    expect(stderr).toContain('did you mean news?')
  })
})

const history = [
  eventView({ number: 5, type: 'run.starting' }),
  eventView({ number: 6, type: 'run.running', data: { pid: 4242 } }),
  eventView({ number: 7, type: 'run.exited', actor: 'bo', data: { reason: 'exited with 1', code: 1 } }),
]

const happened = () =>
  fakeRegent({
    'events.list': ({ after }) => ({ events: history.filter(({ number }) => number > Number(after ?? 0)), oldest: 1, newest: 7 }),
  })

describe('regent events', () => {
  it('prints the last ones', async () => {
    const regent = await happened()
    expect((await regent.run(['events'])).stdout).toMatchInlineSnapshot(`
      "5  2023-11-14 22:13:20  run.starting  alice/news
      6  2023-11-14 22:13:20  run.running  alice/news  pid=4242
      7  2023-11-14 22:13:20  run.exited  alice/news  by bo  reason="exited with 1" code=1
      "
    `)
    expect((await regent.run(['events', '-n', '1', '--json'])).stdout).toBe(`${JSON.stringify(history[2])}\n`)
    expect((await regent.run(['events', '-n', '0', '--agent', 'news'])).stdout).toBe('')
    expect((await regent.run(['events', '--since', '6'])).stdout).toContain('run.exited')
  })

  it('filters by agent and by type, also of a kind', async () => {
    const regent = await happened()
    await regent.run(['events', '--agent', 'news', '--type', 'agent.con*', '--type', 'run.exited'])
    expect(regent.api.requests.at(-1)?.input).toMatchObject({
      agent: 'news',
      types: 'agent.condition_raised,agent.condition_cleared,run.exited',
    })
    const wrong = await regent.run(['events', '--type', 'run.exitd'])
    expect(wrong.code).toBe(2)
    expect(wrong.stderr).toContain('there is no event type run.exitd\nhint: did you mean run.exited?')
  })

  it('[I2-CLI-09] follows from where the list ended, and again from there when the connection is lost', async () => {
    const regent = await happened()
    let connections = 0
    regent.api.on('events.stream', async function* () {
      connections++
      if (connections > 2) throw new RegentError('FORBIDDEN', 'enough')
      yield { id: `${7 + connections}`, data: { kind: 'event', event: eventView({ number: 7 + connections, type: 'run.stopped' }) } }
      if (connections === 1) yield { id: '8', data: { kind: 'resync', oldest: 3, newest: 8 } }
      await new Promise(setImmediate) // What was written must have left before the connection goes.
      regent.api.cut()
    } as never)
    const { code, stdout, stderr } = await regent.run(['events', '-f', '-n', '0'])
    expect(code).toBe(1)
    expect(stdout.split('\n').map((line) => line.split(' ')[0])).toEqual(['8', '9', ''])
    expect(stderr).toContain('connecting again')
    expect(stderr).toContain('events up to 3 are no longer kept')
    const streams = regent.api.requests.filter(({ operation }) => operation === 'events.stream')
    expect(streams.map(({ headers }) => headers['last-event-id'])).toEqual(['7', '8', '9'])
  })
})

describe('regent ps --watch', () => {
  it('shows the list again when something happens, until Ctrl-C', async () => {
    const names = ['first', 'second']
    const regent = await fakeRegent({
      'system.status': () => systemStatus(),
      'agents.list': () => ({ agents: [agentView({ name: names.shift() ?? 'later' })], next_cursor: null }),
      async *'events.stream'() {
        yield { id: '8', data: { kind: 'event', event: eventView() } }
        await new Promise(() => {})
      },
    })
    const child = spawn(`${import.meta.dirname}/../../../bin/regent`, ['ps', '-w', '-o', 'name'], {
      env: { PATH: process.env.PATH ?? '', REGENT_HOME: regent.home },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let shown = ''
    child.stdout.on('data', (data) => {
      shown += data
    })
    await until(() => shown === 'alice/first\nalice/second\n', 'the list is shown twice')
    child.kill('SIGINT')
    expect(await once(child, 'close')).toEqual([130, null])
  })
})

describe('regent bus', () => {
  it('publishes JSON as JSON and text as text, and follows a topic', async () => {
    const regent = await fakeRegent({
      'bus.publish': ({ topic }) => ({ id: 'm1', topic: String(topic) }),
      async *'bus.tail'() {
        yield { data: { id: 'm1', topic: 't', body: '{"type":"user"}' } }
      },
    })
    expect((await regent.run(['bus', 'publish', 't', '{"type":"user"}', '--key', 'k'])).stdout).toBe('published on t (m1)\n')
    await regent.run(['bus', 'publish', 't', '-'], { stdin: 'plain text' })
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      { topic: 't', message: { type: 'user' }, key: 'k' },
      { topic: 't', message: 'plain text' },
    ])
    expect((await regent.run(['bus', 'tail', 't'])).stdout).toBe('{"type":"user"}\n')
  })
})
