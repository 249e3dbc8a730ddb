import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { running, seen } from '../../helpers/commands.ts'
import { Regent } from '../../helpers/regent.ts'
import { until } from '../../helpers/until.ts'

const MiB = 2 ** 20
const KEEP = 3
const MAX = MiB

/** Bytes of everything under a folder. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, { parentPath, name }) => sum + (statSync(join(parentPath, name), { throwIfNoEntry: false })?.size ?? 0), 0)
}

const residentOf = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024
const env = { REGENT_LOGS_MAX_SIZE: String(MAX), REGENT_LOGS_KEEP: String(KEEP) }

it('[P5] a flood is bounded on disk and in memory, Regent up or down, and every line inside the kept window is there', async () => {
  const regent = await Regent.start(env)
  const { id } = await running(regent, 'flood', 'exec seq -f "line %.0f" 1 100000000', { restart: 'never' })
  const runs = join(regent.home, 'runs')
  const bound = (KEEP + 1) * (MAX + 2 * MiB)
  const written = () => Number(/^(\d+)/m.exec(lastLine(runs)?.slice('line '.length) ?? '')?.[1] ?? 0)
  await until(() => written() > 500_000, 'half a million lines')
  const before = residentOf(regent.pid)
  expect(sizeOf(runs)).toBeLessThanOrEqual(bound)
  await regent.kill()
  const atKill = written()
  await until(() => written() > atKill + 500_000, 'half a million more while Regent is down')
  expect(sizeOf(runs)).toBeLessThanOrEqual(bound)
  await regent.serve()
  expect(await seen(regent, id)).toMatchObject({ state: 'RUNNING', restarts: 0 })
  const atBirth = written()
  await until(() => written() > atBirth + 500_000, 'half a million more')
  expect(residentOf(regent.pid)).toBeLessThan(before + 64 * MiB)
  await regent.post(`/api/v1/agents/${id}/stop`, { wait: true })
  const lines = (await regent.run('logs', 'flood', '-n', '100000')).stdout.trimEnd().split('\n')
  const numbers = lines.map((line) => Number(/^line (\d+)$/.exec(line)?.[1]))
  // The last line may be cut by the end of the agent.
  const whole = numbers.slice(0, -1)
  expect(whole.length).toBeGreaterThan(90_000)
  expect(whole.every((number, at) => at === 0 || number === (whole[at - 1] ?? 0) + 1)).toBe(true)
}, 120_000)

/** The last whole line that is on disk. */
function lastLine(runs: string): string | undefined {
  const file = readdirSync(runs)
    .map((name) => join(runs, name, 'output.log'))
    .find((path) => statSync(path, { throwIfNoEntry: false }))
  if (file === undefined) return undefined
  const text = readFileSync(file, 'latin1')
  const end = text.lastIndexOf('\n')
  return end < 0 ? undefined : text.slice(text.lastIndexOf('\n', end - 1) + 1, end)
}
