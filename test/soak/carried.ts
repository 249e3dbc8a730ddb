import { setTimeout as pause } from 'node:timers/promises'
import { openBroker } from '../../src/adapters/buses/open-broker.ts'
import { parseBrokerUrl } from '../../src/contract/brokers.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { tryParse } from '../../src/kernel/json.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Bus, Topic } from '../../src/ports/bus.ts'
import { processes } from './processes.ts'
import { Server } from './server.ts'

export interface CarriedOptions {
  /** Of the broker, as Regent's configuration has it. */
  readonly url: string
  readonly messages: number
  /** kill -9 of Regent, and of the agent, each so often. */
  readonly kills: number
  readonly folder: string
  readonly tell: (line: string) => void
  /** What ends it when nothing comes any more, in ms. */
  readonly patience?: number
}

export interface Carried {
  readonly violations: readonly string[]
  readonly counts: Readonly<Record<string, number>>
}

const IN_FLIGHT = 64

/**
 * Sends messages to an echo agent over a broker while Regent and the agent are killed: every message is answered at least once, and
 * an answer that comes twice has the same id. On Redis and Kafka the agent itself is the subscriber; on RabbitMQ and STOMP Regent is.
 */
export async function carried({ url, messages, kills, folder, tell, patience = 120_000 }: CarriedOptions): Promise<Carried> {
  const settings = parseBrokerUrl(url)
  const channel = `soak-${process.pid}-${Date.now().toString(36)}`
  const own = settings.kind === 'redis' || settings.kind === 'kafka'
  const server = new Server(folder, own ? {} : { REGENT_BUS_URL: url })
  const client = await openBroker({ settings, clock: systemClock, logger: silentLogger })
  const places = placesOf(settings.kind, channel)
  const answers = new Answers(messages)
  try {
    await server.start()
    const agent = await createAgent(server, channel, settings.kind, settings.addresses)
    await client.subscribe(places.out, async ({ id, body }) => answers.take(id, body), { group: 'soak', from: 'earliest', concurrency: 64 })
    await pause(1500)
    const sent = send(client, places.in, messages, answers)
    const harm = harmed(server, agent, kills, messages, answers, tell)
    await Promise.all([sent, harm])
    await answers.all(patience, tell)
  } finally {
    await server.end('SIGKILL')
    for (const { pid, words, agentId } of processes()) if (agentId !== undefined && words.includes(folder)) process.kill(pid, 'SIGKILL')
    await client.close()
  }
  return { violations: answers.violations(), counts: { messages, answers: answers.count, repeated: answers.repeated } }
}

function placesOf(kind: Bus['kind'], channel: string): { in: Topic; out: Topic } {
  if (kind === 'redis') return { in: { name: `agent:${channel}:stream` }, out: { name: `agent:agent_${channel}:stream` } }
  if (kind === 'kafka') return { in: { name: `mcp_agent_${channel}` }, out: { name: `mcp_agent_agent_${channel}` } }
  return { in: { name: `agent:${channel}` }, out: { name: `agent_${channel}` } }
}

async function createAgent(server: Server, channel: string, kind: Bus['kind'], addresses: readonly string[]): Promise<string> {
  const [host = '', port = ''] = addresses[0]?.split(/:(?=\d+$)/) ?? []
  const broker = {
    redis: { backend: 'redis', redis: { host, port: Number(port) } },
    kafka: { backend: 'kafka', kafka: { bootstrap_servers: addresses } },
    other: { backend: 'memory' },
  }[kind === 'redis' || kind === 'kafka' ? kind : 'other']
  const json_config = { default_model: 'offline', pubsub_enabled: true, pubsub_config: { ...broker, channel_name: channel } }
  const agent = { kind: 'team', name: 'echo', subagents: [], json_config, policy: { startsecs: 0 } }
  const { body } = await server.call('POST', '/api/v1/agents', { agent })
  const id = String(body.id)
  await server.call('POST', `/api/v1/agents/${id}/start`, { wait: true })
  for (;;) {
    const { body: view } = await server.call('GET', `/api/v1/agents/${id}`)
    if (view.activity === 'idle') return id
    await pause(100)
  }
}

/** Each until the broker has confirmed it, under one id. */
async function send(bus: Bus, topic: Topic, messages: number, answers: Answers): Promise<void> {
  let next = 0
  const sender = async (): Promise<void> => {
    while (next < messages) {
      const number = next++
      const body = JSON.stringify({ type: 'user', content: `number ${number}.`, metadata: {} })
      for (;;) {
        const done = await bus.publish(topic, { id: `${topic.name}-${number}`, body }).then(
          () => true,
          () => false,
        )
        if (done) break
        await pause(200)
      }
      // Not further ahead than the broker's topics and the agent's inbox should have to hold.
      while (number - answers.count > 50_000) await pause(50)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, sender))
}

/** Kills in turns, spread over the work by the answers that came. */
async function harmed(server: Server, agent: string, kills: number, messages: number, answers: Answers, tell: (line: string) => void) {
  for (let at = 0; at < kills * 2; at++) {
    const due = Math.floor((messages * (at + 0.5)) / (kills * 2))
    const since = performance.now()
    while (answers.count < due && performance.now() - since < 60_000) await pause(20)
    if (at % 2 === 0) {
      await server.end('SIGKILL')
      await pause(300)
      await server.start()
    } else {
      for (const { pid, agentId, words } of processes()) if (agentId === agent && words.includes('echo')) process.kill(pid, 'SIGKILL')
    }
    tell(`${at % 2 === 0 ? 'Regent' : 'the agent'} was killed after ${answers.count} answers`)
  }
}

/** What came back, by the number of its message. */
class Answers {
  readonly #ids: (string | undefined)[]
  readonly #strange: string[] = []
  count = 0
  repeated = 0
  #lastAt = performance.now()

  constructor(messages: number) {
    this.#ids = Array.from({ length: messages })
  }

  take(id: string, body: string): void {
    const envelope = tryParse(body) as { type?: string; content?: unknown } | undefined
    if (envelope?.type !== 'assistant') return
    const number = Number(/number (\d+)\./.exec(String(envelope.content))?.[1])
    if (!(number < this.#ids.length)) {
      this.#strange.push(`an answer to nothing: ${body.slice(0, 200)}`)
      return
    }
    this.#lastAt = performance.now()
    const before = this.#ids[number]
    if (before === undefined) this.count++
    else {
      this.repeated++
      if (before !== id) this.#strange.push(`message ${number} was answered twice, as ${before} and as ${id}`)
    }
    this.#ids[number] = id
  }

  async all(patience: number, tell: (line: string) => void): Promise<void> {
    this.#lastAt = performance.now()
    for (let round = 0; this.count < this.#ids.length; round++) {
      if (performance.now() - this.#lastAt > patience) return
      if (round % 100 === 99) tell(`${this.count} answers`)
      await pause(100)
    }
  }

  violations(): string[] {
    const lost = this.#ids.flatMap((id, number) => (id === undefined ? [number] : []))
    return [
      ...(lost.length > 0 ? [`${lost.length} messages were never answered, such as ${lost.slice(0, 10).join(', ')}`] : []),
      ...this.#strange.slice(0, 20),
    ]
  }
}
