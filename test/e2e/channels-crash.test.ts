import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Stranger, stranger } from '../helpers/channel-client.ts'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

const MESSAGES = 500

async function viewOf(regent: Regent): Promise<Record<string, unknown>> {
  return (await regent.fetch('/api/v1/agents/alice%2Fcrypto_trader')).body
}

/** Kills the agent five times and Regent in between, while messages flow; answers what was said for each message, by the ids. */
async function tormented(client: Stranger, inbound: string, regent: Regent): Promise<Map<string, Set<string>>> {
  let sent = 0
  let over = false
  const sending = (async () => {
    for (; !over || sent < MESSAGES; sent++) {
      await client.send({ name: inbound }, `n${sent}.`)
      await pause(20)
    }
  })()
  const answered = () => new Set(client.said('assistant').map((one) => one.content))
  let dead = 0
  for (let round = 0; round < 5; round++) {
    const before = answered().size
    await until(() => answered().size > before + 10, `answers in round ${round}`, 40_000)
    let pid = 0
    await until(
      async () => {
        const { pid: now, state } = await viewOf(regent)
        pid = typeof now === 'number' && now !== dead && state === 'RUNNING' ? now : 0
        return pid !== 0
      },
      'a run to kill',
      40_000,
    )
    dead = pid
    process.kill(pid, 'SIGKILL')
    if (round % 2 === 0) {
      await regent.kill()
      await regent.serve()
    }
  }
  over = true
  await sending
  const ids = new Map<string, Set<string>>()
  await until(
    () => {
      ids.clear()
      for (const { id, content } of client.said('assistant')) {
        const number = /n(\d+)\./.exec(content)?.[1] ?? ''
        ids.set(number, (ids.get(number) ?? new Set()).add(id))
      }
      return ids.size >= sent
    },
    `${sent} messages to be answered`,
    120_000,
  )
  return ids
}

async function started(pubsub: object): Promise<Regent> {
  const regent = await Regent.start()
  const agent = { ...cryptoTrader(pubsub), subagents: [], initial_task: null }
  expect((await regent.post('/agents', agent)).status).toBe(200)
  expect((await regent.post('/agents/crypto_trader/start?username=alice')).status).toBe(200)
  return regent
}

describeWith('redis', 'an agent on Redis streams that is killed', ({ url }) => {
  it('[F33] answers every message, under one id each, and Regent learns of all', async () => {
    const stem = `c${randomUUID().slice(0, 8)}`
    const client = await stranger(url)
    await client.listen({ name: `${stem}:agent_${stem}:stream` })
    const { hostname, port } = new URL(url)
    const redis = { host: hostname, port: Number(port), channel_prefix: `${stem}:` }
    const regent = await started({ backend: 'redis', channel_name: stem, redis })
    const ids = await tormented(client, `${stem}:${stem}:stream`, regent)
    expect([...ids.values()].every((one) => one.size === 1)).toBe(true)
    await until(async () => (await viewOf(regent)).queued === 0, 'Regent to have all')
  }, 240_000)
})

describeWith('kafka', 'an agent on Kafka that is killed', ({ url }) => {
  it('answers every message, under one id each', async () => {
    const stem = `c${randomUUID().slice(0, 8)}`
    const client = await stranger(url)
    await client.listen({ name: `mcp_agent_agent_${stem}` })
    const kafka = { bootstrap_servers: [url.replace('kafka://', '')], security_protocol: 'PLAINTEXT' }
    const regent = await started({ backend: 'kafka', channel_name: stem, kafka })
    const ids = await tormented(client, `mcp_agent_${stem}`, regent)
    expect([...ids.values()].every((one) => one.size === 1)).toBe(true)
  }, 300_000)
})
