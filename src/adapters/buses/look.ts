import { type BrokerSettings, describeBroker, parseBrokerUrl } from '../../contract/brokers.ts'
import type { Check } from '../../contract/system.ts'
import { systemClock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import { silentLogger } from '../../kernel/logger.ts'
import { openSafely } from './broker-pool.ts'

export interface BrokerAddresses {
  /** `memory:`, or the address of Regent's own bus. */
  readonly busUrl: string
  readonly brokers: Readonly<Record<string, string | undefined>>
  readonly allowInsecureTls: boolean
}

/** Whether the brokers of a configuration can be used now, each asked by a client of its own, within 5 s or so. Never rejects. */
export async function checkBrokers({ busUrl, brokers, allowInsecureTls }: BrokerAddresses): Promise<Check[]> {
  const own = busUrl.startsWith('memory:') ? [] : [{ name: 'bus', url: busUrl, required: true }]
  const others = Object.entries(brokers).flatMap(([name, url]) => (url ? [{ name: `broker ${name}`, url, required: false }] : []))
  // The timers of clients keep no process alive, and this one has nothing else to wait for.
  const awake = setInterval(() => {}, 1000)
  const looks = [...own, ...others].map(({ name, url, required }) => look(name, parseBrokerUrl(url), required, allowInsecureTls))
  return Promise.all(looks).finally(() => clearInterval(awake))
}

async function look(name: string, settings: BrokerSettings, required: boolean, allowInsecureTls: boolean): Promise<Check> {
  const place = describeBroker(settings)
  try {
    const bus = await openSafely(settings, { allowInsecureTls, clock: systemClock, logger: silentLogger })
    try {
      await bus.check()
      return { name, ok: true, required, message: `${place} answers` }
    } finally {
      await bus.close()
    }
  } catch (error) {
    return { name, ok: false, required, message: `${place}: ${reasonOf(error)}` }
  }
}
