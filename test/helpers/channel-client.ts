import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Producer, stringSerializers } from '@platformatic/kafka'
import { onTestFinished } from 'vitest'
import { openBroker } from '../../src/adapters/buses/open-broker.ts'
import { type BrokerSettings, parseBrokerUrl } from '../../src/contract/brokers.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Bus, Topic } from '../../src/ports/bus.ts'
import { until } from './until.ts'

export interface Said {
  /** The bus' own id; '' where the client sees none. */
  readonly id: string
  readonly type: string
  readonly content: string
  readonly channel_id: string
  readonly request_id?: string
  readonly metadata: Record<string, unknown>
}

/** `redis-cli SUBSCRIBE`, as a person sees it: the bodies, as they come. */
export async function redisSubscriber(port: number, ...channels: string[]): Promise<{ bodies: string[]; said: (type: string) => Said[] }> {
  const child: ChildProcess = spawn('redis-cli', ['-p', String(port), 'SUBSCRIBE', ...channels], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill())
  const lines: string[] = []
  if (child.stdout) createInterface(child.stdout).on('line', (line) => lines.push(line))
  await until(() => lines.filter((line) => line === 'subscribe').length === channels.length, 'the subscription')
  const from = lines.length
  const bodies = {
    get all() {
      return lines.slice(from).filter((_line, at, all) => all[at - 2] === 'message')
    },
  }
  const parsed = () => bodies.all.flatMap((body) => (body.startsWith('{') ? [{ id: '', ...JSON.parse(body) } as Said] : []))
  return {
    get bodies() {
      return bodies.all
    },
    said: (type) => parsed().filter((one) => one.type === type),
  }
}

/** A client of a broker that is neither Regent nor an agent. */
export async function stranger(url: string | BrokerSettings): Promise<Stranger> {
  const settings = typeof url === 'string' ? parseBrokerUrl(url) : url
  const bus = await openBroker({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return new Stranger(bus)
}

export class Stranger {
  readonly bus: Bus
  readonly heard: Said[] = []

  constructor(bus: Bus) {
    this.bus = bus
  }

  /** Hears all that is said on the topic from now on. */
  async listen(topic: Topic): Promise<void> {
    await this.bus.subscribe(topic, async ({ id, body }) => void this.heard.push({ ...JSON.parse(body), id }))
  }

  send(topic: Topic, content: string, id: string = randomUUID()): Promise<void> {
    return this.bus.publish(topic, { id, body: JSON.stringify({ type: 'user', content }) })
  }

  said(type: string): Said[] {
    return this.heard.filter((one) => one.type === type)
  }
}

/** A record without any of Regent's headers, as kcat sends it. */
export async function produce(bootstrap: string, topic: string, value: string, key?: string): Promise<void> {
  const producer = new Producer({ clientId: 'kcat', bootstrapBrokers: [bootstrap], serializers: stringSerializers, autocreateTopics: true })
  try {
    await producer.send({ messages: [{ topic, value, ...(key !== undefined && { key }) }] })
  } finally {
    await producer.close()
  }
}
