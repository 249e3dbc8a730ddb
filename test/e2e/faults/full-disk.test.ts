import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, it } from 'vitest'
import { create, latencies, median, running, seen } from '../../helpers/commands.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { Regent } from '../../helpers/regent.ts'
import { mayMount, mountReason, smallDisk } from '../../helpers/small-disk.ts'
import { onSqlite } from '../../helpers/stores.ts'
import { until } from '../../helpers/until.ts'

const options = mayMount ? { timeout: 90_000, ...onSqlite } : { skip: true, meta: { skipReason: mountReason } }

it(
  '[F36] [P8] a full data disk: agents go on, reads work, new work is refused with the remedy, ends and stops are recorded, all recovers by itself',
  options,
  async () => {
    const disk = smallDisk(8)
    const signs = temporaryFolder()
    const regent = await Regent.start({ REGENT_HOME: disk.path })
    const endsAt = (sign: string, code: number) => `while [ ! -e ${join(signs, sign)} ]; do sleep 0.1; done; exit ${code}`
    const steady = await running(regent, 'steady', 'exec sleep 1000')
    const talking = await running(regent, 'talking', 'while :; do echo still here; sleep 0.1; done')
    const stopped = await running(regent, 'stopped', 'exec sleep 1000')
    const first = await running(regent, 'first', endsAt('first', 9), { restart: 'never' })
    const second = await running(regent, 'second', endsAt('second', 11), { restart: 'never' })
    const idle = await create(regent, 'idle', 'exec sleep 1000', { startsecs: 0 })
    const ballast = join(disk.path, 'ballast')
    await until(() => existsSync(ballast), 'the space that is held back')

    disk.fill()
    await until(async () => (await regent.fetch('/readyz')).status === 503, 'readyz tells it')
    expect((await regent.fetch('/readyz')).body).toMatchObject({
      checks: expect.arrayContaining([expect.objectContaining({ name: 'disk', ok: false })]),
    })
    expect(median(await latencies(regent, '/health', 15))).toBeLessThan(100)
    const agent = { kind: 'command', name: 'more', command: ['true'] }
    for (const refused of [await regent.post('/api/v1/agents', { agent }), await regent.post(`/api/v1/agents/${idle}/start`)]) {
      expect(refused).toMatchObject({ status: 507, body: { code: 'NO_SPACE', hint: expect.stringContaining('Free ') } })
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    }
    // Supervision itself has what was held back.
    writeFileSync(join(signs, 'first'), '')
    await until(async () => (await seen(regent, first.id)).state === 'EXITED', 'an end on a full disk')
    expect(await seen(regent, first.id)).toMatchObject({ exit_code: 9 })
    expect(await regent.post(`/api/v1/agents/${stopped.id}/stop`, { wait: true })).toMatchObject({
      status: 200,
      body: { state: 'STOPPED' },
    })
    expect((await regent.post('/api/v1/agents', { agent })).status).toBe(507)

    // Somebody takes that too.
    disk.fill()
    writeFileSync(join(signs, 'second'), '')
    await until(() => !lives(second.pid), 'its end')
    expect((await regent.fetch('/api/v1/agents')).status).toBe(200)
    expect(await seen(regent, steady.id)).toMatchObject({ state: 'RUNNING', pid: steady.pid })

    disk.empty()
    await until(async () => (await seen(regent, second.id)).state === 'EXITED', 'the end that could not be recorded', 15_000)
    expect(await seen(regent, second.id)).toMatchObject({ exit_code: 11 })
    await until(async () => (await regent.fetch('/readyz')).status === 200, 'ready again', 15_000)
    expect(existsSync(ballast)).toBe(true)
    expect((await regent.post('/api/v1/agents', { agent })).status).toBeLessThan(300)
    expect(await regent.post(`/api/v1/agents/${idle}/start`, { wait: true })).toMatchObject({ status: 200 })
    for (const { id, pid } of [steady, talking]) expect(await seen(regent, id)).toMatchObject({ state: 'RUNNING', pid, restarts: 0 })
    const database = new DatabaseSync(join(disk.path, 'regent.db'), { readOnly: true })
    expect(database.prepare('pragma integrity_check').all()).toEqual([{ integrity_check: 'ok' }])
    database.close()
  },
)

function lives(pid: number | null): boolean {
  try {
    process.kill(pid ?? 0, 0)
    return true
  } catch {
    return false
  }
}
