import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { AgentView } from '../../src/contract/agents.ts'
import { parseMetrics } from '../helpers/prometheus.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

const launcher = fileURLToPath(new URL('../../bin/regent', import.meta.url))

interface Line {
  readonly agent: string
  readonly stream: string
  readonly at: number | null
  readonly text: string
}

/** A command of the CLI that goes on; what it printed until now. */
function following(regent: Regent, ...args: string[]) {
  const env = { PATH: process.env.PATH ?? '', HOME: regent.project, REGENT_HOME: regent.home }
  const child = spawn(launcher, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const shown = { out: '', err: '' }
  child.stdout.on('data', (data) => {
    shown.out += data
  })
  child.stderr.on('data', (data) => {
    shown.err += data
  })
  const end = async (): Promise<number | null> => {
    const gone = once(child, 'exit')
    child.kill('SIGINT')
    return (await gone)[0]
  }
  return { shown, lines: () => shown.out.split('\n').filter((line) => line !== ''), end }
}

const counting = (name: string, pause: number) => [
  'run',
  name,
  '--wait',
  '--',
  'sh',
  '-c',
  `i=0; while :; do i=$((i+1)); echo "${name} $i"; echo "${name} bad $i" >&2; sleep ${pause}; done`,
]

describe('what agents take', () => {
  it('[I3-USE-01] [S0-40] is in ps, the API and /metrics', async () => {
    const regent = await Regent.start()
    expect((await regent.run('run', 'busy', '--wait', '--', 'sh', '-c', 'while :; do :; done')).code).toBe(0)
    const seen = async () => (await regent.json<AgentView[]>('ps'))[0]?.resources
    await until(async () => ((await seen())?.cpu_percent ?? 0) > 5, 'the CPU that it burns', 20_000)
    expect(await seen()).toMatchObject({ processes: 1, memory_bytes: expect.any(Number), cpu_seconds: expect.any(Number) })
    expect((await seen())?.open_files).toBeGreaterThan(0)
    const { stdout } = await regent.run('ps', '-o', 'wide')
    expect(stdout).toMatch(/CPU +MEM .*PROCS +FILES/)
    expect(stdout).toMatch(/busy .*\d% +[\d.]+[KM]iB/)
    expect((await regent.run('top')).stdout).toMatch(/^1 agent, 1 live {3}CPU [\d.]+% {3}MEM [\d.]+[KM]iB/)
    const text = await (await fetch(`${regent.url}/metrics`)).text()
    for (const name of ['memory_bytes', 'cpu_seconds_total', 'processes', 'open_files']) {
      const [sample] = parseMetrics(text).get(`regent_agent_${name}`)?.samples ?? []
      expect(sample?.labels.name, name).toBe('busy')
      expect(sample?.value, name).toBeGreaterThan(0)
    }
  })

  it('[I3-USE-02] is told in text that a strict reader of Prometheus takes', async () => {
    const regent = await Regent.start()
    await regent.run('run', 'once', '--restart', 'never', '--', 'sh', '-c', 'exit 3')
    await until(async () => (await regent.json<AgentView[]>('ps'))[0]?.state === 'EXITED', 'its end')
    const answer = await fetch(`${regent.url}/metrics`)
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const families = parseMetrics(await answer.text())
    const [exit] = families.get('regent_run_exits_total')?.samples ?? []
    expect(exit).toMatchObject({ labels: { kind: 'exit', asked: 'false' }, value: 1 })
    expect(families.get('process_open_fds')?.samples[0]?.value).toBeGreaterThan(3)
    const parts = families.get('regent_part_up')?.samples.map(({ labels }) => labels.part)
    expect(parts).toEqual(expect.arrayContaining(['store', 'runtime', 'bus', 'disk']))
  })
})

describe('regent logs', () => {
  it('[I3-LOG-01] merges agents in the order of time, by time, stream and pattern, and goes on over a kill -9 of Regent', async () => {
    const regent = await Regent.start()
    for (const [name, pause] of [
      ['one', 0.05],
      ['two', 0.08],
    ] as const)
      expect((await regent.run(...counting(name, pause))).code).toBe(0)
    const follow = following(regent, 'logs', '-f', '--json', '-n', '5')
    const lines = () => follow.lines().map((line) => JSON.parse(line) as Line)
    await until(() => lines().length > 40, 'lines before', 20_000)
    await regent.kill()
    await until(() => follow.shown.err.includes('lost'), 'the loss is told')
    const before = lines().length
    await regent.serve()
    await until(() => lines().length > before + 40, 'lines after', 20_000)
    expect(await follow.end()).toBe(130)
    expect(follow.shown.err.match(/the connection to Regent is lost/g)).toHaveLength(1)
    for (const start of ['one', 'one bad', 'two', 'two bad']) {
      const numbers = lines()
        .map(({ text }) => new RegExp(`^${start} (\\d+)$`).exec(text)?.[1])
        .filter((found) => found !== undefined)
        .map(Number)
      const [first = 0] = numbers
      expect(numbers.length, start).toBeGreaterThan(5)
      expect(numbers, `${start}: none twice, none missing`).toEqual(numbers.map((_, at) => first + at))
    }

    const read = async (...args: string[]) =>
      (await regent.run('logs', '--json', ...args)).stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Line)
    const all = await read('--since', '1h')
    const times = all.map(({ at }) => at ?? Number.NaN)
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(new Set(all.map(({ agent }) => agent.split('/')[1]))).toEqual(new Set(['one', 'two']))
    const cut = times[20] ?? 0
    expect((await read('--since', new Date(Math.ceil(cut)).toISOString(), 'one')).every(({ at }) => (at ?? 0) >= cut)).toBe(true)
    // The newest line is shown when its time stands beside it, a moment after itself.
    let errors: Line[] = []
    await until(async () => {
      errors = await read('one', '--stream', 'stderr', '-n', '3')
      return errors.length === 3
    }, 'three lines of stderr')
    expect(errors.map(({ stream }) => stream)).toEqual(['stderr', 'stderr', 'stderr'])
    const found = await read('one', '--grep', '^one .*[05]$', '-n', '4')
    expect(found.map(({ text }) => /^one (bad )?\d*[05]$/.test(text))).toEqual([true, true, true, true])
  })
})
