import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { until } from '../../helpers/until.ts'
import { agentView, eventView, systemStatus } from '../../helpers/views.ts'

const line = (text: string, given: object = {}) => ({
  data: { agent: 'alice/news', agent_id: 'id-news', run_id: 'r', stream: 'stdout', at: 1_700_000_000_000, text, ...given },
})
const second = { agent: 'alice/second', agent_id: 'id-second' }

async function* lines(...all: ReturnType<typeof line>[]) {
  yield* all
}

const fleet = () => ({ agents: [agentView({ id: 'id-news' }), agentView({ id: 'id-second', name: 'second' })], next_cursor: null })

describe('regent logs', () => {
  it('prints lines as they are', async () => {
    const regent = await fakeRegent({ 'logs.stream': () => lines(line('one'), line('\x1b[31mtwo')) })
    expect(await regent.run(['logs', 'news'])).toEqual({ code: 0, stdout: 'one\n\x1b[31mtwo\n', stderr: '' })
    await regent.run(['logs', 'news', '--since', '10m', '--stream', 'stderr', '-n', '7'])
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      { agents: 'news' },
      { agents: 'news', since: '10m', stream: 'stderr', tail: '7' },
    ])
  })

  it('puts the name before the lines of several, which one connection brings', async () => {
    const regent = await fakeRegent({ 'agents.list': fleet, 'logs.stream': () => lines(line('a'), line('b', second)) })
    expect((await regent.run(['logs', '*', '-t'])).stdout).toBe(
      'alice/news   | 2023-11-14 22:13:20 a\nalice/second | 2023-11-14 22:13:20 b\n',
    )
    expect((await regent.run(['logs', 'all', '--no-prefix'])).stdout).toBe('a\nb\n')
    expect((await regent.run(['logs'])).stdout).toBe('alice/news   | a\nalice/second | b\n')
    const asked = regent.api.requests.filter(({ operation }) => operation === 'logs.stream').map(({ input }) => input)
    expect(asked).toEqual([{ agents: 'id-news,id-second' }, {}, {}])
  })

  it('prints one JSON object a line', async () => {
    const regent = await fakeRegent({ 'logs.stream': () => lines(line('one')) })
    expect(JSON.parse((await regent.run(['logs', 'news', '--json'])).stdout)).toEqual(line('one').data)
  })

  it('looks through all that is kept for the last lines that match', async () => {
    const all = Array.from({ length: 50 }, (_, n) => line(`line ${n}`, n % 2 ? second : {}))
    const regent = await fakeRegent({ 'agents.list': fleet, 'logs.stream': () => lines(...all) })
    expect((await regent.run(['logs', 'all', '-n', '2', '--no-prefix', '--grep', '[05]$'])).stdout).toBe(
      'line 30\nline 35\nline 40\nline 45\n',
    )
    expect(regent.api.requests.at(-1)?.input).toEqual({ since: '0' })
    const wrong = await regent.run(['logs', 'news', '--grep', '('])
    expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--grep')])
  })

  it('suggests the agent that was meant', async () => {
    const regent = await fakeRegent({
      'agents.list': () => ({ agents: [agentView()], next_cursor: null }),
      'logs.stream': () => {
        throw new RegentError('NOT_FOUND', 'there is no agent nws')
      },
    })
    for (const args of [
      ['logs', 'nws'],
      ['logs', '-f', 'nws'],
    ]) {
      const { code, stderr } = await regent.run(args)
      expect([code, stderr]).toEqual([4, expect.stringContaining('did you mean news?')])
    }
  })

  it('goes on when Regent comes back: no line twice, none lost, told once', async () => {
    const regent = await fakeRegent({ 'agents.list': fleet })
    const at = 1_700_000_000_000
    const readings = [
      // What came before the connection was lost,
      [line('a1', { at: at + 0.25 }), line('b1', { ...second, at: at + 1 }), line('a2', { at: at + 5.5 }), line('a3', { at: at + 5.5 })],
      // and everything since shortly before, with what was printed meanwhile.
      [
        ...[line('a1', { at: at + 0.25 }), line('b1', { ...second, at: at + 1 }), line('b2', { ...second, at: at + 4 })],
        ...[line('a2', { at: at + 5.5 }), line('a3', { at: at + 5.5 }), line('a4', { at: at + 5.5 }), line('a5', { at: at + 9 })],
      ],
    ]
    regent.api.on('logs.stream', async function* () {
      const given = readings.shift()
      if (!given) throw new RegentError('FORBIDDEN', 'enough')
      yield* given
      await new Promise(setImmediate) // What was written must have left before the connection goes.
      regent.api.cut()
    } as never)
    const { stdout, stderr } = await regent.run(['logs', '-f', 'all', '--no-prefix'])
    expect(stdout.split('\n')).toEqual(['a1', 'b1', 'a2', 'a3', 'b2', 'a4', 'a5', ''])
    expect(stderr.match(/the connection to Regent is lost/g)).toHaveLength(2)
    const asked = regent.api.requests.filter(({ operation }) => operation === 'logs.stream').map(({ input }) => input)
    expect(asked).toEqual([
      { follow: 'true' },
      { follow: 'true', since: String(at + 5 - 2000), tail: '1000000' },
      { follow: 'true', since: String(at + 9 - 2000), tail: '1000000' },
    ])
  })
})

describe('regent signal and clear-logs', () => {
  it('send it to each, by any of its names', async () => {
    const regent = await fakeRegent({ 'agents.list': fleet, 'agents.signal': () => ({ sent: true, pid: 42 }) })
    expect((await regent.run(['signal', 'sighup', 'news'])).stdout).toBe('news  SIGHUP sent to 42\n')
    expect((await regent.run(['signal', '9', 'all'])).stdout).toBe('alice/news  SIGKILL sent to 42\nalice/second  SIGKILL sent to 42\n')
    const asked = regent.api.requests.filter(({ operation }) => operation === 'agents.signal').map(({ input }) => input)
    expect(asked).toContainEqual({ agent: 'news', signal: 'HUP' })
    expect(await regent.run(['signal', 'SEGV', 'news'])).toMatchObject({ code: 2, stderr: expect.stringContaining('HUP, INT') })
  })

  it('says which could not be sent', async () => {
    const regent = await fakeRegent({
      'agents.signal': () => {
        throw new RegentError('ILLEGAL_STATE', 'alice/news does not run', { hint: 'start it' })
      },
    })
    expect(await regent.run(['signal', 'HUP', 'news'])).toMatchObject({ code: 1, stderr: expect.stringContaining('does not run') })
  })

  it('forgets the output of one at once, and of several only with a yes', async () => {
    const regent = await fakeRegent({ 'agents.list': fleet, 'agents.clear_logs': () => ({ cleared: true }) })
    expect((await regent.run(['clear-logs', 'news'])).stdout).toBe('news  logs cleared\n')
    expect((await regent.run(['clear-logs', 'all'])).code).toBe(2)
    expect((await regent.run(['clear-logs', '-y', 'all'])).stdout).toBe('alice/news  logs cleared\nalice/second  logs cleared\n')
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
