import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openBroker } from '../../src/adapters/buses/open-broker.ts'
import { parseBrokerUrl } from '../../src/contract/brokers.ts'
import type { DeadLetterView } from '../../src/contract/bus-operations.ts'
import type { Output } from '../../src/contract/operations.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

const launcher = join(import.meta.dirname, '../../bin/regent')
const fresh = (stem: string) => `${stem}-${randomUUID()}`

/** `regent bus tail …` as a person leaves it running; `lines` grows. */
function tailing(
  regent: Regent,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): { lines: string[]; child: ChildProcess } {
  const all = { PATH: process.env.PATH ?? '', HOME: regent.home, REGENT_HOME: regent.home, ...env }
  const child = spawn(launcher, ['bus', 'tail', ...args], { env: all, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  let text = ''
  child.stdout?.on('data', (data) => {
    text += data
    const whole = text.split('\n')
    text = whole.pop() ?? ''
    lines.push(...whole)
  })
  return { lines, child }
}

/** Publishes until the tail has heard one: nobody tells when it has begun to listen. */
async function heard(regent: Regent, lines: readonly string[], topic: string, broker: string): Promise<void> {
  await until(
    async () => {
      if (lines.length === 0) await regent.post('/api/v1/bus/publish', { topic, broker, message: 'are you there?' })
      return lines.length > 0
    },
    'the tail listens',
    20_000,
  )
}

const roundTrip = (broker: 'redis' | 'kafka' | 'rabbitmq' | 'stomp', env: Readonly<Record<string, string>>) =>
  it(`[I4-OPS-01] [I4-OPS-03] [I4-OPS-04] publishes to ${broker}, follows it and lists its topics`, { timeout: 90_000 }, async () => {
    const regent = await Regent.start(env)
    const topic = fresh('regent-cli')
    const { lines } = tailing(regent, [topic, '--broker', broker, '--json'])
    await heard(regent, lines, topic, broker)
    const before = lines.length
    const body = '{"type": "user",  "content": "How is ETH?"}'
    const { code, stdout, stderr } = await regent.run(
      'bus',
      'publish',
      topic,
      body,
      '--broker',
      broker,
      '--id',
      'mine',
      '--header',
      'tone=kind',
    )
    expect({ code, stderr, stdout }).toEqual({ code: 0, stderr: '', stdout: `published on ${topic} at ${broker} (mine)\n` })
    await until(() => lines.slice(before).some((line) => line.includes('How is ETH?')), 'it arrives')
    const got = JSON.parse(lines.find((line) => line.includes('How is ETH?')) ?? '{}')
    expect(got).toMatchObject({ id: 'mine', topic, body, content_type: 'application/json', headers: { tone: 'kind' }, attempt: 1 })
    const topics = await regent.json<{ name: string }[]>('bus', 'topics', '--broker', broker)
    expect(topics.map(({ name }) => name)).toContain(topic)
    const { brokers } = await regent.json<Output<'bus.status'>>('bus', 'status')
    const shown = brokers.find(({ name }) => name === broker)
    expect(shown).toMatchObject({ connected: true, reason: null, kind: broker })
    expect(shown?.lag.map((one) => one.topic)).toContain(topic)
    expect(shown?.address).not.toMatch(/guest|admin/)
    const { stdout: doctor } = await regent.run('doctor')
    expect(doctor).toMatch(new RegExp(`ok +server: broker ${broker}`))
  })

const burying = (broker: 'redis' | 'kafka' | 'rabbitmq' | 'stomp', url: string, env: Readonly<Record<string, string>>) =>
  it(`[I4-OPS-06] lists, shows, requeues and drops dead letters of ${broker}`, { timeout: 120_000 }, async () => {
    const bus = await openBroker({ settings: parseBrokerUrl(url), clock: systemClock, logger: silentLogger })
    onTestFinished(() => bus.close())
    const topic = fresh('regent-dead')
    const taken: string[] = []
    let fails = true
    const take = async ({ body }: { body: string }) => {
      if (fails) throw new Error(`${body} cannot be read`)
      taken.push(body)
    }
    await bus.subscribe({ name: topic }, take, { group: fresh('group'), maxAttempts: 1, from: 'earliest' })
    const regent = await Regent.start(env)
    for (const message of ['first', 'second'])
      expect((await regent.run('bus', 'publish', topic, message, '--broker', broker, '--id', `${topic}-${message}`)).code).toBe(0)
    const list = () => regent.json<DeadLetterView[]>('bus', 'dead', 'list', '--broker', broker, '--topic', topic)
    await until(async () => (await list()).length === 2, 'both are given up', 30_000)
    fails = false
    const [first, second] = (await list()).toSorted((a, b) => (a.body < b.body ? -1 : 1))
    expect(first).toMatchObject({ broker, topic, body: 'first', reason: 'first cannot be read', message_id: `${topic}-first`, agent: null })
    expect((await regent.run('bus', 'dead', 'show', first?.id ?? '')).stdout).toContain('first cannot be read')
    expect((await regent.run('bus', 'dead', 'requeue', first?.id ?? '')).code).toBe(0)
    await until(() => taken.includes('first'), 'it comes again', 30_000)
    expect((await regent.run('bus', 'dead', 'drop', '-y', second?.id ?? '')).code).toBe(0)
    await until(async () => (await list()).length === 0, 'nothing is left')
    expect((await regent.run('bus', 'dead', 'drop', '-y', second?.id ?? '')).code).toBe(4)
    expect(taken).toEqual(['first'])
    const told = await regent.fetch('/api/v1/events/history?types=message.requeued,message.dropped')
    expect((told.body.events as { data: object }[]).map(({ data }) => data)).toMatchObject([
      { broker, topic, id: `${topic}-first` },
      { broker, topic, id: `${topic}-second` },
    ])
  })

const conversing = (broker: 'redis' | 'kafka', pubsub: object) =>
  it(`[I4-OPS-02] [I4-OPS-03] speaks with an agent on its own channel at ${broker}, which the configuration does not name`, {
    timeout: 90_000,
  }, async () => {
    const regent = await Regent.start()
    const name = `a${randomUUID().slice(0, 8)}`
    const config = { pubsub_enabled: true, pubsub_config: { backend: broker, channel_name: name, ...pubsub } }
    const agent = { kind: 'team', owner: 'alice', name, subagents: [], json_config: config }
    expect((await regent.post('/api/v1/agents', { agent, start: true })).status).toBe(201)
    const { lines } = tailing(regent, ['--agent', `alice/${name}`])
    await until(
      async () => {
        if (lines.length === 0) expect((await regent.run('bus', 'publish', '--agent', name, 'Are you there?')).code).toBe(0)
        return lines.length > 0
      },
      'it answers',
      40_000,
    )
    const { code, stdout } = await regent.run('bus', 'publish', '--agent', name, 'How is ETH?')
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringContaining(` at ${broker} (`) })
    const answers = () => lines.map((line) => JSON.parse(line)).filter(({ type, content }) => type === 'assistant' && /ETH/.test(content))
    await until(() => answers().length > 0, 'it answers the second question', 30_000)
    expect(answers()[0]).toMatchObject({ channel_id: `agent_${name}` })
  })

describeWith('redis', 'regent bus at Redis', ({ url }) => {
  roundTrip('redis', { REDIS_URL: url })
  burying('redis', url, { REDIS_URL: url })
  const { hostname, port } = new URL(url)
  conversing('redis', { redis: { host: hostname, port: Number(port) } })

  it('[I4-OPS-03] tells what Redis keeps, from the start', { timeout: 60_000 }, async () => {
    const regent = await Regent.start({ REDIS_URL: url })
    const topic = fresh('regent-kept')
    for (const message of ['one', 'two']) expect((await regent.run('bus', 'publish', topic, message, '--broker', 'redis')).code).toBe(0)
    const { lines } = tailing(regent, [topic, '--broker', 'redis', '--from', 'earliest'])
    await until(() => lines.length === 2, 'both')
    expect(lines).toEqual(['one', 'two'])
  })
})

describeWith('rabbitmq', 'regent bus at RabbitMQ', ({ url }) => {
  roundTrip('rabbitmq', { RABBITMQ_URL: url })
  burying('rabbitmq', url, { RABBITMQ_URL: url })
})

describeWith('activemq', 'regent bus at ActiveMQ', ({ url }) => {
  const { hostname, port } = new URL(url.replace(/^stomp/, 'http'))
  const env = { ACTIVEMQ_HOST: hostname, ACTIVEMQ_PORT: port }
  roundTrip('stomp', env)
  burying('stomp', url, env)
})

describeWith('kafka', 'regent bus at Kafka', ({ url }) => {
  const servers = url.replace('kafka://', '')
  roundTrip('kafka', { MSK_BOOTSTRAP_SERVERS: servers })
  burying('kafka', url, { MSK_BOOTSTRAP_SERVERS: servers })
  conversing('kafka', { kafka: { bootstrap_servers: [servers] } })

  it("[S0-32] [S0-33] stands in for 000's producer and consumer, with their variables", { timeout: 90_000 }, async () => {
    const regent = await Regent.start({ MSK_BOOTSTRAP_SERVERS: servers })
    const topic = `mcp_agent_${randomUUID()}`
    const { lines } = tailing(regent, [topic, '--broker', 'kafka'])
    await heard(regent, lines, topic, 'kafka')
    const chat = '{"type":"user","content":"What is the price of BTC?","channel_id":"agent:crypto_trader","metadata":{}}'
    expect((await regent.run('bus', 'publish', topic, chat, '--broker', 'kafka')).code).toBe(0)
    await until(() => lines.includes(chat), 'it arrives as it was written')

    const env = { MSK_TOPIC_NAME: fresh('msk'), MSK_CONSUMER_GROUP: fresh('group') }
    const publish = (message: string) => regent.post('/api/v1/bus/publish', { topic: env.MSK_TOPIC_NAME, broker: 'kafka', message })
    const first = tailing(regent, ['--broker', 'kafka'], env)
    await heard(regent, first.lines, env.MSK_TOPIC_NAME, 'kafka')
    await publish('seen')
    await until(() => first.lines.includes('seen'), 'the group reads')
    first.child.kill('SIGINT')
    await publish('meanwhile')
    const second = tailing(regent, ['--broker', 'kafka'], env)
    await until(() => second.lines.includes('meanwhile'), 'the group goes on where it stood', 30_000)
    expect(second.lines).not.toContain('are you there?')
  })

  it('[I4-OPS-03] tells what Kafka keeps, from the start', { timeout: 60_000 }, async () => {
    const regent = await Regent.start({ MSK_BOOTSTRAP_SERVERS: servers })
    const topic = fresh('regent-kept')
    for (const message of ['one', 'two'])
      expect((await regent.run('bus', 'publish', topic, message, '--broker', 'kafka', '--key', 'k')).code).toBe(0)
    const { lines } = tailing(regent, [topic, '--broker', 'kafka', '--from', 'earliest'])
    await until(() => lines.length === 2, 'both')
    expect(lines).toEqual(['one', 'two'])
  })
})
