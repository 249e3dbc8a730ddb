import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { probe } from '../../scripts/services/probes.mjs'

const state = join(process.env.REGENT_TEST_SERVICES_DIR ?? join(import.meta.dirname, '../../.services'), 'state.json')

export interface Broker {
  readonly name: string
  readonly url: string
  /** Why it cannot be used, where it cannot. */
  readonly missing: string | undefined
}

/** The brokers of `npm run services`. */
export async function brokersHere(): Promise<readonly Broker[]> {
  const found: Record<string, { urls: Record<string, string> }> = existsSync(state) ? JSON.parse(readFileSync(state, 'utf8')).services : {}
  const of = async (name: string, service: string, which = 'url'): Promise<Broker> => {
    const url = found[service]?.urls[which]
    const missing = url === undefined ? `npm run services -- start ${service}` : await probe(url)
    return { name, url: url ?? '', missing }
  }
  return Promise.all([
    of('Redis streams', 'redis'),
    of('Kafka', 'kafka'),
    of('RabbitMQ', 'rabbitmq'),
    of('STOMP on ActiveMQ', 'activemq'),
    of('STOMP on RabbitMQ', 'rabbitmq', 'stomp'),
  ])
}
