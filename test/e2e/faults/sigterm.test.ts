import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { create, running, seen } from '../../helpers/commands.ts'
import { cryptoTrader } from '../../helpers/crypto-trader.ts'
import { Regent } from '../../helpers/regent.ts'
import { until } from '../../helpers/until.ts'

function isAlive(pid: number | null): boolean {
  try {
    return process.kill(pid ?? 0, 0)
  } catch {
    return false
  }
}

/** A connection as the team's runner has one. */
async function linkOf(regent: Regent): Promise<WebSocket> {
  const body = { ...cryptoTrader({ backend: 'memory', channel_name: 'news' }), name: 'news', initial_task: null }
  await regent.post('/agents', body)
  const { run_id } = (await regent.post('/api/v1/agents/news/start', { wait: true })).body
  const link = JSON.parse(readFileSync(join(regent.home, 'runs', String(run_id), 'link.json'), 'utf8')) as { url: string; token: string }
  const ws = new WebSocket(link.url, { headers: { authorization: `Bearer ${link.token}` } })
  await once(ws, 'open')
  return ws
}

describe('SIGTERM', () => {
  it('[F17] takes no new work, finishes what is under way, closes WebSockets with 1001; agents live on, or end with --stop-agents', async () => {
    await agentsLiveOn()
    await agentsEnd()
  })

  async function agentsLiveOn(): Promise<void> {
    const regent = await Regent.start()
    const { pid } = await running(regent, 'web', 'sleep 1000')
    const ws = await linkOf(regent)
    const closed = once(ws, 'close')
    await create(regent, 'slow', 'sleep 1000', { startsecs: 3 })
    const underWay = regent.post('/api/v1/agents/slow/start', { wait: true })
    await until(async () => (await seen(regent, 'slow')).state === 'STARTING', 'the start under way')
    const begun = performance.now()
    const ended = regent.kill('SIGTERM')
    const [code] = await closed
    expect(code).toBe(1001)
    const refused = await fetch(`${regent.url}/api/v1/agents/web/stop`, { method: 'POST' })
    expect(refused.status).toBe(503)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    expect(await underWay).toMatchObject({ status: 200, body: { state: 'RUNNING' } })
    await ended
    expect(performance.now() - begun).toBeLessThan(10_000)
    expect(isAlive(pid)).toBe(true)
    await regent.serve()
    expect(await seen(regent, 'web')).toMatchObject({ state: 'RUNNING', pid, restarts: 0 })
  }

  /** In order; and the next Regent starts them again. */
  async function agentsEnd(): Promise<void> {
    const regent = await Regent.start({ REGENT_STOP_AGENTS: 'true' })
    const db = await running(regent, 'db', 'sleep 1000')
    const web = await running(regent, 'web', "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done", { depends_on: { db: {} } })
    const off = await running(regent, 'off', 'sleep 1000')
    await regent.post('/api/v1/agents/off/stop', { wait: true })
    await regent.kill('SIGTERM')
    for (const { pid } of [db, web, off]) expect(isAlive(pid)).toBe(false)
    await regent.serve()
    for (const name of ['db', 'web']) await until(async () => (await seen(regent, name)).state === 'RUNNING', `${name} RUNNING`)
    expect((await seen(regent, 'off')).state).toBe('STOPPED')
    const events = (await regent.fetch('/api/v1/events/history?types=run.stopped,run.starting&after=0')).body.events as {
      agent: string
      data: { reason: string }
    }[]
    const told = events.slice(-4).map(({ agent, data }) => `${agent.split('/')[1]} ${data.reason}`)
    expect(told).toEqual([
      'web stopped with Regent (exited with code 0)',
      'db stopped with Regent (ended by SIGTERM)',
      'db started again with Regent',
      'web started again with Regent',
    ])
  }
})
