import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { OwnRedis, redisCli } from '../adapters/buses/redis-world.ts'
import { produce, redisSubscriber, stranger } from '../helpers/channel-client.ts'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith, needs } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

interface Message {
  id: string
  number: number
  type: string
  direction: string
  content: string
  state: string | null
  sender: string
  reply_to: string | null
  final: boolean
}

const prompt = (content: string) =>
  JSON.stringify({
    type: 'user',
    content,
    channel_id: 'agent:crypto_trader',
    metadata: { model: 'claude-3-5-haiku-latest', name: 'default' },
  })

async function running(regent: Regent, name: string, pubsub: object, over: object = {}): Promise<void> {
  const agent = { ...cryptoTrader(pubsub), name, initial_task: null, ...over }
  expect((await regent.post('/agents', agent)).status).toBe(200)
  expect((await regent.post(`/agents/${name}/start?username=alice`)).status).toBe(200)
}

/** All of them, oldest first. */
async function messages(regent: Regent, name: string): Promise<Message[]> {
  const all: Message[] = []
  for (;;) {
    const page = await regent.fetch(`/api/v1/agents/alice%2F${name}/messages?limit=200&after=${all.at(-1)?.number ?? 0}`)
    const found = page.body.messages as Message[]
    all.push(...found)
    if (found.length === 0) return all
  }
}

async function pidOf(regent: Regent, name: string): Promise<number> {
  let pid: unknown
  await until(async () => {
    pid = (await regent.fetch(`/api/v1/agents/alice%2F${name}`)).body.pid
    return typeof pid === 'number'
  }, 'a process')
  return pid as number
}

const conditions = async (regent: Regent, name: string) =>
  (await regent.fetch(`/api/v1/agents/alice%2F${name}`)).body.conditions as { type: string; subject: string; message: string }[]

describeWith('redis', 'an agent on Redis', () => {
  it("[S0-25] [I4-CH-02] answers the README's PUBLISH, asks on its channel and takes the answer there", async () => {
    const redis = await OwnRedis.start()
    const heard = await redisSubscriber(redis.port, 'agent:agent_crypto_trader')
    const regent = await Regent.start()
    await running(regent, 'crypto_trader', {
      backend: 'redis',
      channel_name: 'crypto_trader',
      redis: { host: '127.0.0.1', port: redis.port },
    })
    await redisCli(redis.port, 'PUBLISH', 'agent:crypto_trader', prompt('What is the current Bitcoin price?'))
    await until(() => heard.said('assistant').length > 0, 'the answer', 20_000)
    expect(heard.said('user')).toMatchObject([
      { content: 'What is the current Bitcoin price?', channel_id: 'agent_crypto_trader', metadata: { chat_turn: 1 } },
    ])
    expect(heard.said('assistant').at(-1)?.content).toContain('What is the current Bitcoin price?')

    await redisCli(redis.port, 'PUBLISH', 'agent:crypto_trader', prompt('call fetch {"url":"http://127.0.0.1:9/x"}'))
    await until(() => heard.said('tool_confirmation_request').length > 0, 'the question', 20_000)
    const id = heard.said('tool_confirmation_request')[0]?.request_id
    const no = JSON.stringify({ type: 'tool_confirmation_response', request_id: id, confirmed: false })
    await redisCli(redis.port, 'PUBLISH', 'agent:crypto_trader', no)
    await until(() => heard.said('tool_result').length > 0, 'the result', 20_000)
    expect(JSON.stringify(heard.said('tool_result')[0]?.content)).toContain("Tool call to 'fetch' was rejected")

    await until(async () => (await messages(regent, 'crypto_trader')).filter((one) => one.final).length === 2, 'the history')
    const kept = await messages(regent, 'crypto_trader')
    expect(kept.filter((one) => one.direction === 'in')).toMatchObject([
      { content: 'What is the current Bitcoin price?', state: 'acknowledged', sender: 'channel' },
      { state: 'acknowledged' },
    ])
    expect(kept.find((one) => one.final)?.reply_to).toBe(kept.find((one) => one.direction === 'in')?.id)
  })

  it('[F33] loses nothing of what was published over restarts of the agent while Regent lives, and takes each once', async () => {
    const redis = await OwnRedis.start()
    const name = 'crypto_trader'
    const regent = await Regent.start()
    const pubsub = { backend: 'redis', channel_name: name, redis: { host: '127.0.0.1', port: redis.port } }
    await running(regent, name, pubsub, { subagents: [] })
    const heard = await redisSubscriber(redis.port, `agent:agent_${name}`)
    const foreign = await stranger(redis.settings)
    let number = 0
    let over = false
    const send = async () => {
      for (; !over; number++) {
        await foreign.send({ name: `agent:${name}`, fleeting: true }, `n${number}`)
        await pause(5)
      }
    }
    await redisCli(redis.port, 'PUBLISH', `agent:${name}`, prompt('first'))
    await until(() => heard.said('assistant').length > 0, 'the first answer', 20_000)
    const sending = send()
    for (let round = 0; round < 2; round++) {
      const before = number
      await until(() => number > before + 50, 'some to be sent')
      expect((await regent.run('restart', name)).code).toBe(0)
      await until(() => number > before + 150, 'some more to be sent', 20_000)
    }
    over = true
    await sending
    const asked = async () => (await messages(regent, name)).filter((one) => one.direction === 'in')
    await until(async () => (await asked()).length >= number + 1, `all ${number}`, 30_000).catch(() => undefined)
    const got = (await asked()).map(({ content }) => content)
    const wanted = ['first', ...Array.from({ length: number }, (_, at) => `n${at}`)]
    expect(new Set(got)).toEqual(new Set(wanted))
    expect(got.length).toBe(wanted.length)
  }, 90_000)
})

describeWith('kafka', 'an agent on Kafka', ({ url }) => {
  const bootstrap = url.replace('kafka://', '')
  const onKafka = (stem: string) => ({
    backend: 'kafka',
    channel_name: stem,
    kafka: { bootstrap_servers: [bootstrap], topic_prefix: 'mcp_agent_', security_protocol: 'PLAINTEXT' },
  })

  it('[S0-23] [S0-45] [I4-CH-04] takes prompts from mcp_agent_{channel}, also of a plain producer, and answers on mcp_agent_agent_{channel}', async () => {
    const stem = `c${randomUUID().slice(0, 8)}`
    const heard = await stranger(url)
    await heard.listen({ name: `mcp_agent_agent_${stem}` })
    const regent = await Regent.start()
    await running(regent, 'crypto_trader', onKafka(stem), { subagents: [] })
    await until(async () => (await heard.bus.topics()).some(({ name }) => name === `mcp_agent_${stem}`), 'the topic', 30_000)
    await until(
      async () => {
        await produce(bootstrap, `mcp_agent_${stem}`, prompt('anybody there?'))
        return heard.said('assistant').length > 0
      },
      'an answer',
      60_000,
    )
    await produce(bootstrap, `mcp_agent_${stem}`, prompt('How is ETH doing?'), 'key_1')
    await until(() => heard.said('assistant').some((one) => one.content.includes('How is ETH doing?')), 'the answer', 30_000)

    expect((await regent.run('stop', 'crypto_trader')).code).toBe(0)
    await produce(bootstrap, `mcp_agent_${stem}`, prompt('while you were away'))
    expect((await regent.run('start', 'crypto_trader')).code).toBe(0)
    await until(() => heard.said('assistant').some((one) => one.content.includes('while you were away')), 'the late answer', 60_000)
  }, 120_000)

  it('[I4-CH-02] [I4-CH-03] gives each of two agents on one topic every message, and asks there', async () => {
    const stem = `c${randomUUID().slice(0, 8)}`
    const client = await stranger(url)
    await client.listen({ name: `mcp_agent_agent_${stem}` })
    const regent = await Regent.start()
    await running(regent, 'one', onKafka(stem), { subagents: [] })
    await running(regent, 'crypto_trader', onKafka(stem))
    const answered = (name: string, content: string) =>
      client.said('assistant').some((one) => one.metadata.name === name && one.content.includes(content))
    await until(
      async () => {
        await client.send({ name: `mcp_agent_${stem}` }, 'warm up')
        return answered('one', 'warm up') && answered('crypto_trader', 'warm up')
      },
      'both to listen',
      60_000,
    )
    for (const content of ['first', 'second']) await client.send({ name: `mcp_agent_${stem}` }, content)
    for (const name of ['one', 'crypto_trader'])
      for (const content of ['first', 'second']) await until(() => answered(name, content), `${name} to answer ${content}`, 60_000)

    await client.send({ name: `mcp_agent_${stem}` }, 'call fetch {"url":"http://127.0.0.1:9/x"}')
    await until(() => client.said('tool_confirmation_request').length > 0, 'the question', 60_000)
    const request_id = client.said('tool_confirmation_request')[0]?.request_id
    const no = JSON.stringify({ type: 'tool_confirmation_response', request_id, confirmed: false })
    await client.bus.publish({ name: `mcp_agent_agent_${stem}` }, { id: randomUUID(), body: no })
    await until(() => client.said('tool_result').length > 0, 'the result', 30_000)
    expect(JSON.stringify(client.said('tool_result')[0]?.content)).toContain("Tool call to 'fetch' was rejected")
  }, 180_000)
})

describe.skipIf(!needs('redis').available)('a channel', () => {
  it('names the broker that is away, and goes on without it', async () => {
    const regent = await Regent.start()
    await running(regent, 'lonely', { backend: 'redis', redis: { host: '127.0.0.1', port: 1 } }, { subagents: [] })
    await until(async () => (await conditions(regent, 'lonely')).some(({ type }) => type === 'broker'), 'the condition', 20_000)
    const broker = (await conditions(regent, 'lonely')).find(({ type }) => type === 'broker')
    expect(broker?.subject).toBe('redis')
    expect(broker?.message).toMatch(/redis at 127\.0\.0\.1:1 cannot be reached .*through Regent meanwhile/)
    expect((await regent.json<Message>('send', 'lonely', 'still there?', '--wait')).content).toContain('still there?')
  })

  it('[F33] says what its broker missed when it is back, and takes what waited there in streams', async () => {
    const redis = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'always')
    const regent = await Regent.start()
    await running(
      regent,
      'news',
      { backend: 'redis', channel_name: 'news', redis: { host: '127.0.0.1', port: redis.port } },
      { subagents: [] },
    )
    const first = await stranger(redis.settings)
    await first.listen({ name: 'agent:agent_news:stream' })
    await until(async () => (await redisCli(redis.port, 'EXISTS', 'agent:news:stream')) === '1', 'the agent to listen', 20_000)
    await first.send({ name: 'agent:news:stream' }, 'before')
    await until(() => first.said('assistant').length === 1, 'the first answer', 20_000)
    await redis.kill()
    const away = async () => (await conditions(regent, 'news')).some(({ type }) => type === 'broker')
    await until(away, 'the condition', 20_000)
    expect((await regent.json<Message>('send', 'news', 'through Regent', '--wait')).content).toContain('through Regent')
    await redis.start()
    await until(async () => !(await away()), 'the condition to go', 40_000)
    await until(() => first.said('assistant').length >= 2, 'what was missed', 40_000)
    await first.send({ name: 'agent:news:stream' }, 'after')
    await until(() => first.said('assistant').some(({ content }) => content.includes('after')), 'the next answer', 40_000)
    expect([...new Set(first.said('assistant').map(({ id }) => id))]).toHaveLength(3)
  }, 120_000)

  it('[I4-CH-05] keeps the agent and its users talking while Regent is down, and Regent learns of it', async () => {
    const redis = await OwnRedis.start()
    const regent = await Regent.start()
    await running(
      regent,
      'news',
      { backend: 'redis', channel_name: 'news', redis: { host: '127.0.0.1', port: redis.port } },
      { subagents: [] },
    )
    const heard = await redisSubscriber(redis.port, 'agent:agent_news')
    await redisCli(redis.port, 'PUBLISH', 'agent:news', prompt('one'))
    await until(() => heard.said('assistant').length === 1, 'the first answer', 20_000)
    const pid = await pidOf(regent, 'news')
    await regent.kill()
    await redisCli(redis.port, 'PUBLISH', 'agent:news', prompt('two'))
    await until(() => heard.said('assistant').length === 2, 'the answer without Regent', 20_000)
    await regent.serve()
    await until(async () => (await messages(regent, 'news')).filter((one) => one.final).length === 2, 'the history', 20_000)
    const kept = await messages(regent, 'news')
    expect(kept.filter((one) => one.direction === 'in').map(({ content, state }) => [content, state])).toEqual([
      ['one', 'acknowledged'],
      ['two', 'acknowledged'],
    ])
    expect(await pidOf(regent, 'news')).toBe(pid)
  }, 60_000)
})
