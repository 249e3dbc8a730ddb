// Workers of a real Regent that is killed while they work; their CLI is a shell script.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { WorkerView } from '../../src/contract/workers.ts'
import { answering, claudeFolder, pathWith } from '../helpers/claude-folder.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

const SLOW = 120_000

/** Says what it was asked once a file of that name is in the folder of gates. */
const patient = (gates: string): string => `while [ ! -e "${gates}/$2" ]; do sleep 0.05; done; ${answering('$2')}`

async function create(regent: Regent, folder: string, prompt: string, more: object = {}): Promise<string> {
  const { status, body } = await regent.post('/api/v1/workers', { worker: { prompt, env: { PATH: pathWith(folder) }, ...more } })
  expect([status, body.detail]).toEqual([200, undefined])
  return String(body.id)
}

const running = async (regent: Regent): Promise<number> =>
  ((await regent.fetch('/api/v1/workers?states=running&limit=100')).body.workers as WorkerView[]).filter(({ pid }) => pid !== null).length

async function next(regent: Regent): Promise<WorkerView | undefined> {
  const { body } = await regent.post('/api/v1/workers/wait', { mode: 'first', wait: true, timeout: 30_000 })
  return (body.workers as WorkerView[])[0]
}

describe('workers', { timeout: SLOW }, () => {
  it('[I5-SURVIVE-02] ten of them outlive each kill -9 of Regent; each end is told once, also those that came while it was down', async () => {
    const gates = temporaryFolder()
    const folder = claudeFolder(patient(gates))
    const regent = await Regent.start()
    const names = Array.from({ length: 10 }, (_, at) => `task-${at}`)
    for (const name of names) await create(regent, folder, name)
    await until(async () => (await running(regent)) === 10, 'all run')
    const heard: string[] = []
    for (let at = 0; at < 10; at += 2) {
      await regent.kill()
      writeFileSync(join(gates, `task-${at}`), '')
      await regent.serve()
      writeFileSync(join(gates, `task-${at + 1}`), '')
      for (let told = 0; told < 2; told++) heard.push((await next(regent))?.result ?? '')
    }
    expect(heard.sort()).toEqual(names)
    expect(await next(regent)).toBeUndefined()
  })

  it('[I5-QUEUE-01] more than may run wait in the queue, the most urgent first, over a kill -9', async () => {
    const gates = temporaryFolder()
    const order = join(gates, 'order')
    const folder = claudeFolder(`echo "$2" >> "${order}"; ${patient(gates)}`)
    const regent = await Regent.start({ REGENT_WORKERS_RUNNING: '1' })
    await create(regent, folder, 'first')
    await until(() => existsSync(order), 'the first runs')
    await create(regent, folder, 'later')
    await create(regent, folder, 'urgent', { priority: 5 })
    await regent.kill()
    await regent.serve()
    for (const name of ['first', 'urgent', 'later']) {
      writeFileSync(join(gates, name), '')
      expect((await next(regent))?.result).toBe(name)
    }
    expect(readFileSync(order, 'utf8')).toBe('first\nurgent\nlater\n')
  })

  it('[I5-REAP-01] what a CLI leaves behind ends with it, and with a cancel', async () => {
    const gates = temporaryFolder()
    const child = `sleep 1000 & echo $! > "${gates}/pid-$2"`
    const folder = claudeFolder(`${child}; [ "$2" = stays ] && sleep 1000; ${answering('done')}`)
    const regent = await Regent.start()
    await create(regent, folder, 'goes')
    await next(regent)
    const stays = await create(regent, folder, 'stays')
    await until(() => existsSync(join(gates, 'pid-stays')), 'it has a child')
    expect((await regent.post(`/api/v1/workers/${stays}/cancel`, { wait: true })).body).toMatchObject({ state: 'cancelled' })
    const isAlive = (name: string) => existsSync(`/proc/${readFileSync(join(gates, `pid-${name}`), 'utf8').trim()}`)
    await until(() => !isAlive('goes') && !isAlive('stays'), 'the children are gone')
  })

  it('[I5-OUTPUT-01] what it prints is read while it runs, in pages, whole, however long a line is', async () => {
    const gates = temporaryFolder()
    const long = 'x'.repeat(300_000)
    writeFileSync(join(gates, 'long'), `${long}\n`)
    const folder = claudeFolder(`echo begun; cat "${gates}/long"; ${patient(gates)}`)
    const regent = await Regent.start()
    const id = await create(regent, folder, 'say')
    const page = async (from: number) => (await regent.fetch(`/api/v1/workers/${id}/output?from=${from}&limit=1000`)).body
    await until(async () => (await page(1)).text === `${long}\n`, 'the long line is there')
    expect(await page(0)).toMatchObject({ text: 'begun\n', next: 1, more: true, ended: false })
    writeFileSync(join(gates, 'say'), '')
    expect(await next(regent)).toMatchObject({ result: 'say' })
    expect(await page(2)).toMatchObject({ text: expect.stringContaining('"result":"say"'), next: 3, more: false, ended: true })
  })
})
