import { openBroker } from '../../src/adapters/buses/open-broker.ts'
import { parseBrokerUrl } from '../../src/contract/brokers.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { answer, takeJob } from '../lib/job.ts'
import type { Bare, OpenBare } from './bare/bare.ts'

// Carries messages over a broker, through Regent's adapter or its client library alone, and answers how long that took.

export interface CarryJob {
  readonly url: string
  readonly through: 'adapter' | 'bare'
  /** Messages for the throughput, how many of them are under way at once, and how many go alone for the latency. */
  readonly n: number
  readonly inFlight: number
  readonly alone: number
}

export interface Carried {
  readonly ms: number
  /** From publishing to the handler, one at a time, in ms. */
  readonly times: readonly number[]
}

const BODY = JSON.stringify({ type: 'user', content: 'x'.repeat(160), channel_id: 'agent:news', metadata: {} })

answer(await carry(await takeJob<CarryJob>()))

async function carry({ url, through, n, inFlight, alone }: CarryJob): Promise<Carried> {
  const name = `regent-bench-${process.pid}-${Date.now()}`
  const carrier = through === 'adapter' ? await overAdapter(url, name) : await (await bareOf(url))(url, name)
  let got = 0
  let wake = () => {}
  await carrier.consume(() => {
    got++
    wake()
  })
  const until = async (count: number): Promise<void> => {
    while (got < count)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
  for (let at = 0; at < 200; at++) await carrier.publish(BODY)
  await until(200)
  const from = performance.now()
  let left = n
  const publisher = async (): Promise<void> => {
    while (left-- > 0) await carrier.publish(BODY)
  }
  await Promise.all(Array.from({ length: inFlight }, publisher))
  await until(200 + n)
  const ms = performance.now() - from
  const times: number[] = []
  for (let at = 0; at < alone; at++) {
    const begun = performance.now()
    await Promise.all([carrier.publish(BODY), until(200 + n + at + 1)])
    times.push(performance.now() - begun)
  }
  await carrier.close()
  return { ms, times }
}

async function overAdapter(url: string, name: string): Promise<Bare> {
  const bus = await openBroker({ settings: parseBrokerUrl(url), clock: systemClock, logger: silentLogger })
  const topic = { name }
  return {
    publish: (body) => bus.publish(topic, { id: crypto.randomUUID(), body, contentType: 'application/json' }),
    async consume(handler) {
      await bus.subscribe(topic, async ({ body }) => handler(body), { group: 'g', concurrency: 64 })
    },
    close: () => bus.close(),
  }
}

async function bareOf(url: string): Promise<OpenBare> {
  if (url.startsWith('redis')) return (await import('./bare/redis.ts')).openRedis
  if (url.startsWith('kafka')) return (await import('./bare/kafka.ts')).openKafka
  if (url.startsWith('amqp')) return (await import('./bare/rabbitmq.ts')).openRabbitmq
  return (await import('./bare/stomp.ts')).openStomp
}
