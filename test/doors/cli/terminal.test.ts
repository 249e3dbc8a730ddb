import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentView, completedWorker, eventView, outputItem, raceView, systemStatus, workerView } from '../../helpers/views.ts'

const launcher = `${import.meta.dirname}/../../../bin/regent`

/** A command on a pseudo-terminal of util-linux's `script`, whose width the command itself sets; what was on the screen, and its code. */
async function onTerminal(home: string, width: number, words: string, typed: string): Promise<{ screen: string; code: number | null }> {
  const line = `stty cols ${width}; exec "${launcher}" ${words}`
  const child = spawn('script', ['-qefc', line, '/dev/null'], {
    env: { PATH: process.env.PATH ?? '', REGENT_HOME: home, TERM: 'xterm', SHELL: '/bin/sh' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  if (typed === '') child.stdin.end()
  else {
    child.stdout.on('data', (data) => {
      if (String(data).includes('? [y/N]')) child.stdin.write(typed)
    })
  }
  return { screen: await text(child.stdout), code: await ended }
}

const agents = [
  agentView(),
  agentView({ id: 'other', name: 'queen', state: 'FATAL', reason: 'a reason that is much longer than the line of a small terminal' }),
]
const listed = () =>
  fakeRegent({ 'agents.list': () => ({ agents, next_cursor: null }), 'agents.delete': () => ({ ...agentView(), deleted: true }) })

describe.skipIf(process.platform !== 'linux')('on a terminal', () => {
  it('tables are coloured and fit the width', async () => {
    const { screen, code } = await onTerminal((await listed()).home, 80, 'ps', '')
    expect(code).toBe(0)
    expect(screen).toContain('\x1b[31mFATAL\x1b[39m')
    const lines = screen
      .replaceAll(new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, 'g'), '')
      .trimEnd()
      .split('\r\n')
    expect(lines.map((line) => line.length <= 80)).toEqual([true, true, true])
    expect(lines[2]).toMatch(/…$/)
  })

  it('lines of stderr are told apart, and move no cursor', async () => {
    const printed = (stream: string, text: string) => ({ data: { agent: 'alice/news', agent_id: 'a', run_id: 'r', stream, at: 1, text } })
    const regent = await fakeRegent({
      async *'logs.stream'() {
        yield printed('stdout', 'well')
        yield printed('stderr', 'bad\x1b[2J')
      },
    })
    expect((await onTerminal(regent.home, 80, 'logs news', '')).screen).toBe('well\r\n\x1b[31mbad\x1b[39m\r\n')
  })

  it('one that tells no width is taken for 80 columns', async () => {
    const { home } = await listed()
    expect((await onTerminal(home, 0, 'ps', '')).screen).toBe((await onTerminal(home, 80, 'ps', '')).screen)
  })

  it.each([
    ['n\n', 1, 'nothing was removed', 0],
    ['y\n', 0, 'alice/news  removed', 2],
    ['\x03', 130, '', 0],
  ])('the answer %j to "remove?" leads to %i', async (typed, code, told, removals) => {
    const regent = await listed()
    const result = await onTerminal(regent.home, 80, 'rm all', typed)
    expect(result.code).toBe(code)
    expect(result.screen).toContain(told)
    expect(regent.api.requests.filter(({ operation }) => operation === 'agents.delete')).toHaveLength(removals)
  })

  it('whoever follows a worker is told what it asks', async () => {
    const asked = Promise.withResolvers<void>()
    const pending = { request_id: '7e3c1a9e-0000-4000-8000-000000000001', worker_id: workerView().id, tool: 'Bash', input: {} }
    let isOver = false
    const regent = await fakeRegent({
      'workers.get': () => (isOver ? completedWorker() : workerView()),
      'workers.wait': () => {
        asked.resolve()
        const outcome = isOver ? 'ended' : 'permission'
        return { outcome, workers: [], active: 1, pending_permissions: isOver ? [] : [pending], lease: null }
      },
      async *'workers.follow'() {
        yield { data: outputItem() }
        await asked.promise
        isOver = true
        yield { data: outputItem({ text: 'done' }) }
      },
    })
    const { screen, code } = await onTerminal(regent.home, 80, 'peek -f 3f2c', '')
    expect(code).toBe(0)
    expect(screen).toContain('worker 3f2c1a9e asks to use Bash: regent approve 7e3c1a9e, or regent reject')
    expect(screen).toContain('hello\r\n')
    expect(screen).toContain("next: regent resume 3f2c1a9e 'PROMPT'")
  })

  it('a race is written over itself', async () => {
    const attempt = (worker: object) => ({ worker: workerView(worker), verdict: 'waiting' as const, score: null, judged_by: null })
    const decided = raceView({ state: 'decided', winner: completedWorker(), attempts: [attempt({ state: 'completed' })] })
    const states = [raceView(), decided]
    const regent = await fakeRegent({
      'races.create': () => raceView(),
      'races.get': () => states.shift() ?? decided,
      'system.status': () => systemStatus(),
      async *'events.stream'() {
        yield { id: '8', data: { kind: 'event', event: eventView({ type: 'worker.completed' }) } }
        await new Promise(() => {})
      },
    })
    const { screen, code } = await onTerminal(regent.home, 80, 'race x', '')
    expect(code).toBe(0)
    const [first = '', second = ''] = screen.split('\x1b[3A\r')
    expect(first).toMatch(/race 5ace1a9e.*running[\s\S]*3f2c1a9e.*running/)
    expect(second).toMatch(/race 5ace1a9e.*decided[\s\S]*3f2c1a9e.*completed[\s\S]*winner {2}3f2c1a9e/)
  })
})
