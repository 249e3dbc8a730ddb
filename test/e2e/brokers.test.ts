import { randomUUID } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { Output } from '../../src/contract/operations.ts'
import { freePort, OwnRedis } from '../helpers/own-redis.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

type Status = Output<'bus.status'>
type Checks = { name: string; ok: boolean; required: boolean; message: string }[]

const readyz = async (regent: Regent) => {
  const { status, body } = await regent.fetch('/readyz')
  return { status, checks: body.checks as Checks }
}
const check = async (regent: Regent, name: string) => (await readyz(regent)).checks.find((one) => one.name === name)

/** A team whose channel is on Regent's own bus. */
async function team(regent: Regent, name: string): Promise<void> {
  const config = { pubsub_enabled: true, pubsub_config: { backend: 'memory', channel_name: name } }
  const agent = { kind: 'team', owner: 'alice', name, subagents: [], json_config: config }
  expect((await regent.post('/api/v1/agents', { agent, start: true })).status).toBe(201)
}

/** Says something to the agent over the API and waits until it has answered there. */
async function ask(regent: Regent, agent: string, content: string): Promise<string> {
  const { status, body } = await regent.post(`/api/v1/agents/${agent}/messages`, { content, wait: true, timeout: 20_000 })
  expect({ status, body }).toMatchObject({ status: 200 })
  return (body.message as { id: string }).id
}

/** Ids of the messages that were answered on a topic, in the order in which the broker has them. */
async function answered(regent: Regent, topic: string, count: number): Promise<string[]> {
  const stop = new AbortController()
  const address = `${regent.url}/api/v1/bus/tail?topic=${topic}&from=earliest`
  const response = await fetch(address, {
    headers: { accept: 'application/x-ndjson' },
    signal: AbortSignal.any([stop.signal, AbortSignal.timeout(20_000)]),
  })
  const found: string[] = []
  let text = ''
  for await (const chunk of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += chunk
    const lines = text.split('\n')
    text = lines.pop() ?? ''
    for (const line of lines.filter((one) => one.trim() !== '')) {
      const envelope = JSON.parse(JSON.parse(line).body)
      if (envelope.type === 'assistant') found.push(String(envelope.content))
    }
    if (found.length >= count) break
  }
  stop.abort()
  return found
}

const backlog = async (regent: Regent): Promise<number> => {
  const { relays } = await regent.json<Status>('bus', 'status')
  return relays.find(({ name }) => name === 'channels')?.backlog ?? -1
}

describeWith('redis', "Regent's own bus on a Redis that comes and goes", () => {
  it('[F25] is up without it, says so, and drains the outbox in order once it is there', { timeout: 120_000 }, async () => {
    const redis = await OwnRedis.prepare()
    const regent = await Regent.start({ REGENT_BUS_URL: redis.url })
    expect((await readyz(regent)).status).toBe(503)
    expect(await check(regent, 'bus')).toMatchObject({ ok: false, required: true })
    expect((await regent.fetch('/livez')).status).toBe(200)
    await team(regent, 'news')
    const asked = ['one', 'two', 'three']
    for (const text of asked) await ask(regent, 'news', text)
    const refused = await regent.run('bus', 'publish', 'topic', 'lost')
    expect(refused.code).not.toBe(0)
    expect(await backlog(regent)).toBeGreaterThan(0)

    await redis.start()
    await until(async () => (await readyz(regent)).status === 200, 'it is ready', 60_000)
    await until(async () => (await backlog(regent)) === 0, 'the outbox is drained', 60_000)
    const first = await answered(regent, 'agent_news', 3)
    expect(first).toHaveLength(3)
    for (const [at, text] of asked.entries()) expect(first[at]).toContain(text)

    await redis.kill()
    await until(async () => (await readyz(regent)).status === 503, 'the loss is told', 10_000)
    await ask(regent, 'news', 'four')
    await redis.start()
    await until(async () => (await backlog(regent)) === 0, 'the outbox is drained again', 60_000)
    const all = await answered(regent, 'agent_news', 4)
    expect(all.slice(0, 3)).toEqual(first)
    expect(all[3]).toContain('four')
    const events = await regent.fetch('/api/v1/events/history?types=broker.lost,broker.restored')
    const types = (events.body.events as { type: string }[]).map(({ type }) => type)
    expect(types).toEqual(['broker.lost', 'broker.restored', 'broker.lost', 'broker.restored'])
  })

  it('[F26] [I4-OPS-09] tells one that is frozen within seconds, and answers everybody meanwhile', { timeout: 120_000 }, async () => {
    const redis = await OwnRedis.prepare()
    await redis.start()
    const regent = await Regent.start({ REGENT_BUS_URL: redis.url })
    await team(regent, 'news')
    await until(async () => (await readyz(regent)).status === 200, 'it is ready', 20_000)
    redis.freeze()
    const from = performance.now()
    await until(async () => (await readyz(regent)).status === 503, 'the loss is told', 5_000)
    expect(performance.now() - from).toBeLessThan(5_000)
    const began = performance.now()
    const { status } = await regent.post('/api/v1/bus/publish', { topic: 't', message: 'x' })
    expect(status).toBe(503)
    expect(performance.now() - began).toBeLessThan(8_000)
    await ask(regent, 'news', 'while it is frozen')
    const lost = async () => ((await regent.fetch('/api/v1/events/history?types=broker.lost')).body.events as unknown[]).length
    await until(async () => (await lost()) > 0, 'the event', 20_000)
    redis.thaw()
    await until(async () => (await readyz(regent)).status === 200, 'it is ready again', 60_000)
    await until(async () => (await backlog(regent)) === 0, 'the outbox is drained', 60_000)
    expect((await answered(regent, 'agent_news', 1))[0]).toContain('while it is frozen')
  })
})

describe('brokers that take connections and never answer', () => {
  it('[F26] are told within seconds, and nothing waits for them', { timeout: 120_000 }, async () => {
    const sockets = new Set<Socket>()
    const silent = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => {})
    })
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      silent.close()
    })
    const { port } = silent.address() as { port: number }
    const regent = await Regent.start({
      REGENT_REDIS_URL: '',
      REDIS_URL: `redis://127.0.0.1:${port}`,
      REGENT_KAFKA_URL: `kafka://127.0.0.1:${port}`,
      RABBITMQ_URL: `amqp://guest:guest@127.0.0.1:${port}`,
      ACTIVEMQ_HOST: '127.0.0.1',
      ACTIVEMQ_PORT: `${port}`,
    })
    expect((await readyz(regent)).status).toBe(200)
    const names = ['redis', 'kafka', 'rabbitmq', 'stomp'] as const
    const look = () => readyz(regent).then(({ checks }) => checks.filter(({ name }) => name.startsWith('broker ')))
    await until(async () => (await look()).every(({ message }) => !message.endsWith('not asked yet')), 'the first look is over', 15_000)
    expect((await look()).map(({ name, ok, required }) => [name, ok, required]).sort()).toEqual(
      names.map((name) => [`broker ${name}`, false, false]).sort(),
    )
    const began = performance.now()
    const answers = await Promise.all(
      names.map((broker) => regent.post('/api/v1/bus/publish', { topic: `t${randomUUID()}`, broker, message: 'x' })),
    )
    expect(answers.map(({ status }) => status)).toEqual(names.map(() => 503))
    expect(performance.now() - began).toBeLessThan(9_000)
    const { stdout } = await regent.run('doctor')
    for (const name of names) expect(stdout).toContain(`server: broker ${name}`)
    const { brokers } = await regent.json<Status>('bus', 'status')
    expect(brokers.map(({ name, connected }) => [name, connected])).toEqual([['bus', true], ...names.map((name) => [name, false])])
    expect(JSON.stringify(brokers)).not.toContain('guest:guest')
  })

  it('[I4-OPS-08] are told by `regent doctor` before there is a server, without their passwords', { timeout: 60_000 }, async () => {
    const port = await freePort()
    const env = { REGENT_BUS_URL: `redis://u:very-secret@127.0.0.1:${port}`, RABBITMQ_URL: `amqp://u:very-secret@127.0.0.1:${port}/v` }
    const { code, stdout, stderr } = await Regent.prepare(env).run('doctor')
    expect(code).toBe(1)
    expect(stdout).toMatch(new RegExp(`missing +bus +redis at 127.0.0.1:${port}: .*ECONNREFUSED`))
    expect(stdout).toMatch(new RegExp(`note +broker rabbitmq +rabbitmq at 127.0.0.1:${port}/v: `))
    expect(stderr).toContain('missing: bus')
    expect(stdout + stderr).not.toContain('very-secret')
  })
})
