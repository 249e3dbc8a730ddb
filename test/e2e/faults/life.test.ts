import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { isUuid } from '../../../src/kernel/ids.ts'
import { create, running, seen } from '../../helpers/commands.ts'
import { mainProcesses, markedPids } from '../../helpers/marked.ts'
import { Regent } from '../../helpers/regent.ts'
import { until } from '../../helpers/until.ts'

/** Every run that this Regent ever had a folder for, and those to come. */
const runsOf = (regent: Regent): Set<string> => new Set(readdirSync(join(regent.home, 'runs')).filter(isUuid))

/** How many live copies there are, which is never to be more than one. */
function copies(regent: Regent): number {
  return [...mainProcesses(runsOf(regent)).values()].flat().length
}

const post = (regent: Regent, agent: string, what: string, body: object = {}) => regent.post(`/api/v1/agents/${agent}/${what}`, body)
const texts = async (regent: Regent, agent: string): Promise<string[]> =>
  ((await regent.fetch(`/api/v1/agents/${agent}/timeline?limit=500`)).body.entries as { text: string }[]).map(({ text }) => text)
const isState = (regent: Regent, agent: string, state: string) =>
  until(async () => (await seen(regent, agent)).state === state, `${agent} ${state}`, 20_000)

describe('commands that cross each other', () => {
  it('[F08] restart 100 times at once, stop while STARTING, start while STOPPING: the last word counts, never two live copies', async () => {
    const regent = await Regent.start()
    await create(regent, 'slow', 'sleep 60', { startsecs: 30 })
    await post(regent, 'slow', 'start')
    await isState(regent, 'slow', 'STARTING')
    expect((await post(regent, 'slow', 'stop', { wait: true })).body).toMatchObject({ state: 'STOPPED', desired: 'stopped' })
    await running(regent, 'web', "trap 'sleep 0.2; exit 0' TERM; while :; do sleep 0.1; done")
    let most = 0
    let watching = true
    const watch = (async () => {
      while (watching) {
        most = Math.max(most, copies(regent))
        await pause(20)
      }
    })()
    const restarted = await Promise.all(Array.from({ length: 100 }, () => post(regent, 'web', 'restart')))
    expect(restarted.every(({ status }) => status === 200)).toBe(true)
    await until(async () => (await seen(regent, 'web')).state === 'RUNNING' && copies(regent) === 1, 'one live copy', 20_000)
    await post(regent, 'web', 'stop')
    await isState(regent, 'web', 'STOPPING')
    expect((await post(regent, 'web', 'start', { wait: true })).body).toMatchObject({ state: 'RUNNING' })
    const words = ['start', 'stop', 'restart', 'stop', 'start', 'restart', 'stop']
    for (const word of words) await post(regent, 'web', word)
    await until(async () => (await seen(regent, 'web')).state === 'STOPPED' && copies(regent) === 0, 'the last word', 20_000)
    watching = false
    await watch
    expect(most).toBe(1)
  }, 60_000)

  it('[F02] four deaths before startsecs: BACKOFF with growing delays, then FATAL; a start begins anew', async () => {
    const regent = await Regent.start()
    await create(regent, 'dying', 'exit 7', { restart: 'always' })
    await post(regent, 'dying', 'start')
    await isState(regent, 'dying', 'FATAL')
    const { body } = await regent.fetch('/api/v1/events/history?agent=dying&types=run.backoff&after=0')
    const delays = (body.events as { data: { delay_ms: number } }[]).map(({ data }) => data.delay_ms)
    expect(delays[0]).toBe(0)
    expect(delays[1]).toBeGreaterThanOrEqual(800)
    expect(delays[1]).toBeLessThanOrEqual(1200)
    expect(delays[2]).toBeGreaterThanOrEqual(1600)
    expect(delays[2]).toBeLessThanOrEqual(2400)
    expect(delays).toHaveLength(3)
    expect(await seen(regent, 'dying')).toMatchObject({ restarts: 3, exit_code: 7 })
    expect((await texts(regent, 'dying')).at(-1)).toMatch(/^given up: exited with code 7 before it had run for 1 s, 4 times in a row/)
    await post(regent, 'dying', 'start')
    await until(async () => (await seen(regent, 'dying')).restarts < 3, 'counters that began anew')
  })
})

describe('agents that depend on each other', () => {
  it('[part of F14] start in order, and are stopped in reverse order within one grace and 2 s, though all ignore TERM', async () => {
    const regent = await Regent.start()
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const [index, name] of names.entries()) {
      const before = names[index - 1]
      const depends_on = before === undefined ? {} : { [before]: {} }
      await create(regent, name, "trap '' TERM; while :; do sleep 0.1; done", { startsecs: 0, stop_grace: 2, depends_on })
    }
    expect((await post(regent, 'f', 'start', { wait: true })).status).toBe(200)
    const order = (await regent.fetch('/api/v1/events/history?types=run.starting&after=0')).body.events as { agent: string }[]
    expect(order.map(({ agent }) => agent.split('/')[1])).toEqual(names)
    const begun = performance.now()
    const { code, stdout } = await regent.run('stop', 'all')
    expect(performance.now() - begun).toBeLessThan(4000 + 1000)
    expect({ code, lines: stdout.trim().split('\n').length }).toEqual({ code: 0, lines: 6 })
    const events = (await regent.fetch('/api/v1/events/history?types=run.stopping,run.stopped&after=0&limit=500')).body.events as {
      at: number
      type: string
    }[]
    const times = events.map(({ at }) => at)
    expect(Math.max(...times) - Math.min(...times)).toBeLessThanOrEqual(4000)
    expect(copies(regent)).toBe(0)
  })
})

describe('a restart of the machine', () => {
  it('[F23] [I3-BOOT-01] starts what was wanted once, leaves autostart: false stopped, and says so', async () => {
    const regent = await Regent.start()
    const web = await running(regent, 'web', 'sleep 1000', { startretries: 0 })
    const job = await running(regent, 'job', 'sleep 1000', { autostart: false })
    await regent.kill()
    // What a restart of the machine leaves: no process, no end on record, and the boot of before.
    for (const run of runsOf(regent)) {
      const file = join(regent.home, 'runs', run, 'pid')
      const [, , boot = '', wrapper] = readFileSync(file, 'utf8').split(' ')
      process.kill(Number(wrapper), 'SIGKILL')
      for (const pid of markedPids(run)) process.kill(pid, 'SIGKILL')
      writeFileSync(file, readFileSync(file, 'utf8').replace(boot, boot.replace(/[0-9a-f]/g, '0')))
    }
    for (const { pid } of [web, job]) await until(() => !isAlive(pid), `the end of ${pid}`)
    await regent.serve()
    await isState(regent, 'web', 'RUNNING')
    expect(await seen(regent, 'web')).toMatchObject({ restarts: 1, reason: expect.stringMatching(/^alive for/) })
    expect(await seen(regent, 'job')).toMatchObject({ state: 'STOPPED', reason: expect.stringContaining('autostart: false') })
    expect(await texts(regent, 'web')).toContainEqual(expect.stringContaining('the machine was restarted'))
    expect(copies(regent)).toBe(1)
    await regent.kill()
    await regent.serve()
    expect(await seen(regent, 'web')).toMatchObject({ state: 'RUNNING', restarts: 1 })
  })
})

describe('a delete while it runs', () => {
  it('[F24] stops it first, and goes on after Regent was killed in between', async () => {
    const regent = await Regent.start()
    const { id, pid } = await running(regent, 'web', "trap '' TERM; while :; do sleep 0.1; done", { stop_grace: 2 })
    const [run = ''] = runsOf(regent)
    expect((await regent.fetch(`/api/v1/agents/${id}`, { method: 'DELETE' })).status).toBe(200)
    await isState(regent, id, 'STOPPING')
    await regent.kill()
    expect(isAlive(pid)).toBe(true)
    await regent.serve()
    await until(async () => (await regent.fetch(`/api/v1/agents/${id}`)).status === 404, 'the delete', 20_000)
    expect(markedPids(run)).toEqual([])
    expect(runsOf(regent).size).toBe(0)
    expect((await create(regent, 'web', 'sleep 1')).length).toBeGreaterThan(0)
  })
})

function isAlive(pid: number | null): boolean {
  try {
    return process.kill(pid ?? 0, 0)
  } catch {
    return false
  }
}
