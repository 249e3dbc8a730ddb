import { describe, expect, it } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

interface Row {
  id: string
  name: string
  state: string
  pid: number
  restarts: number
  activity: string | null
}
interface Said {
  final: boolean
  content: string
  reply_to: string
}

const byName = (rows: Row[]) => Object.fromEntries(rows.map((row) => [row.name, row.pid]))

async function teams(regent: Regent, names: string[]): Promise<void> {
  for (const name of names) {
    const body = { ...cryptoTrader({ backend: 'memory', channel_name: name }), name, initial_task: null }
    expect((await regent.post('/agents', body)).status).toBe(200)
    expect((await regent.post(`/agents/${name}/start?username=alice`)).status).toBe(200)
  }
}

describe('kill -9 of Regent', () => {
  it('[I2-RUN-02] [part of P1] leaves a command agent running, with the same pid after the restart', async () => {
    const regent = await Regent.start()
    expect((await regent.run('run', 'ticker', '--', 'sh', '-c', 'while :; do date; sleep 1; done')).code).toBe(0)
    await until(async () => (await regent.json<Row[]>('ps'))[0]?.state === 'RUNNING', 'RUNNING')
    const [before] = await regent.json<Row[]>('ps')
    await regent.kill()
    process.kill(before?.pid ?? 0, 0)
    await regent.serve()
    expect(await regent.json<Row[]>('ps')).toMatchObject([{ name: 'ticker', pid: before?.pid, state: 'RUNNING', restarts: 0 }])
    expect((await regent.run('stop', 'ticker')).code).toBe(0)
    await until(() => !alive(before?.pid ?? 0), 'the end of the ticker')
  })

  it('[I2-E2E-01] [I2-APR-03] [part of P2] while three agents run, one in an answer, one waiting for a yes: same pids, one answer, the yes still counts', async () => {
    const regent = await Regent.start()
    await teams(regent, ['calm', 'busy', 'asking'])
    const busy = (await regent.post('/api/v1/agents/busy/messages', { content: 'sleep 3000' })).body.message as { id: string }
    const asking = (await regent.post('/api/v1/agents/asking/messages', { content: 'call fetch {"url":"http://127.0.0.1:9/"}' })).body
      .message as { id: string }
    const activities = async () => Object.fromEntries((await regent.json<Row[]>('ps')).map((row) => [row.name, row.activity]))
    await until(async () => {
      const now = await activities()
      return now.busy === 'working' && now.asking === 'needs_input'
    }, 'work and a question')
    const pids = byName(await regent.json<Row[]>('ps'))
    await regent.kill()
    await regent.serve()
    expect(byName(await regent.json<Row[]>('ps'))).toEqual(pids)
    const finals = async (name: string, id: string) =>
      ((await regent.fetch(`/api/v1/agents/${name}/messages?limit=500`)).body.messages as Said[]).filter(
        (one) => one.final && one.reply_to === id,
      )
    await until(async () => (await finals('busy', busy.id)).length > 0, 'the answer of the busy one', 20_000)
    let approvals: { id: string }[] = []
    await until(async () => {
      approvals = await regent.json<{ id: string }[]>('approvals')
      return approvals.length === 1 && (await activities()).asking === 'needs_input'
    }, 'the question')
    await until(async () => (await regent.run('approve', approvals[0]?.id ?? '')).code === 0, 'the yes')
    await until(async () => (await finals('asking', asking.id)).length > 0, 'the answer of the asking one')
    expect(await finals('busy', busy.id)).toHaveLength(1)
    expect(await finals('asking', asking.id)).toHaveLength(1)
    expect(byName(await regent.json<Row[]>('ps'))).toEqual(pids)
  })

  it('[part of P2] loses no message that was accepted for a stopped agent', async () => {
    const regent = await Regent.start()
    const body = { ...cryptoTrader({ backend: 'memory', channel_name: 'x' }), initial_task: null }
    await regent.post('/agents', body)
    for (const content of ['one', 'two'])
      expect((await regent.post('/api/v1/agents/crypto_trader/messages', { content })).status).toBeLessThan(300)
    await regent.kill()
    await regent.serve()
    await regent.run('start', 'crypto_trader')
    const said = async () =>
      ((await regent.fetch('/api/v1/agents/crypto_trader/messages')).body.messages as Said[]).filter((one) => one.final)
    await until(async () => (await said()).length === 2, 'both answers')
    expect((await said()).map((one) => /one|two/.exec(one.content)?.[0])).toEqual(['one', 'two'])
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
