import { describe, expect, it } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

interface Approval {
  id: string
  tool: string
  server: string
  arguments: { url?: string }
  default: string
  expires_at: number
  agent: string
}
interface Message {
  content: string
  reply_to: string
  type: string
}

const memory = { backend: 'memory', channel_name: 'crypto_trader' }

async function trader(pubsub: object | undefined, initial: string | null = null): Promise<Regent> {
  const regent = await Regent.start()
  expect((await regent.post('/agents', { ...cryptoTrader(pubsub), initial_task: initial })).status).toBe(200)
  expect((await regent.post('/agents/crypto_trader/start?username=alice')).status).toBe(200)
  return regent
}

describe('talking with a team', () => {
  it('[S0-15] [S0-27] answers a message through its plan, with the offline model that says what it is', async () => {
    const regent = await trader(memory)
    const reply = await regent.json<Message>('send', 'crypto_trader', 'How is ETH doing?', '--wait')
    expect(reply.type).toBe('assistant')
    expect(reply.content).toContain('How is ETH doing?')
    expect(reply.content.toLowerCase()).toContain('offline')
    const said = await regent.json<Message[]>('messages', 'crypto_trader')
    expect(said.map(({ content }) => content)).toEqual(['How is ETH doing?', reply.content])
    expect((await regent.json<Message[]>('messages', 'crypto_trader', '--all')).length).toBeGreaterThan(2)
    expect((await regent.run('messages', 'crypto_trader')).stdout).toContain('crypto_trader: ')
  })

  it('[I2-E2E-03] [S0-18] [S0-44] asks before fetch, at every door, and tells the model of a rejection', async () => {
    const regent = await trader(memory)
    const sending = regent.json<Message>('send', 'crypto_trader', 'call fetch {"url":"http://127.0.0.1:9/x"}', '--wait')
    let approvals: Approval[] = []
    await until(async () => {
      approvals = await regent.json<Approval[]>('approvals')
      return approvals.length === 1
    }, 'the approval')
    expect(approvals[0]).toMatchObject({
      agent: 'alice/crypto_trader',
      server: 'fetch',
      tool: 'fetch',
      arguments: { url: 'http://127.0.0.1:9/x' },
      default: 'reject',
    })
    const over = await regent.fetch('/api/v1/approvals')
    expect(over.body.approvals).toMatchObject([{ id: approvals[0]?.id }])
    expect(await regent.json('ps')).toMatchObject([{ name: 'crypto_trader', state: 'RUNNING', activity: 'needs_input' }])
    expect((await regent.run('reject', approvals[0]?.id ?? '')).code).toBe(0)
    expect((await sending).content).toContain("Tool call to 'fetch' was rejected")
  })

  it('[S0-16] runs its initial task once for a start, and says what came of it', async () => {
    const regent = await trader(memory, 'Say hello to the market.')
    const said = async () =>
      (await regent.fetch('/api/v1/agents/alice%2Fcrypto_trader/messages')).body.messages as (Message & { final: boolean })[]
    await until(
      async () => (await said()).some((message) => message.final && message.content.includes('Say hello to the market.')),
      'the answer',
    )
    expect((await said()).filter((message) => message.final)).toHaveLength(1)
  })

  it('[I2-TEAM-08] [S0-21] runs although its broker cannot be reached, and says so', async () => {
    const regent = await trader(undefined)
    await until(async () => {
      const { body } = await regent.fetch('/api/v1/agents/alice%2Fcrypto_trader')
      return (body.conditions as { type: string; message: string }[]).some(
        (one) => one.type === 'broker' && one.message.includes('kafka.invalid'),
      )
    }, 'the condition')
    const shown = await regent.run('show', 'crypto_trader')
    expect(shown.stdout).toContain('RUNNING')
    expect(shown.stdout).toContain('b-3.kafka.invalid:9198')
    expect((await regent.json<Message>('send', 'crypto_trader', 'still there?', '--wait')).content).toContain('still there?')
  })
})
