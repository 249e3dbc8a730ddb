import { onTestFinished } from 'vitest'
import { createRedisBus } from '../../../src/adapters/buses/redis/redis-bus.ts'
import { type BrokerSettings, parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { busConformance } from '../../conformance/bus.ts'
import { describeWith } from '../../helpers/services.ts'

async function open(settings: BrokerSettings): Promise<Bus> {
  const bus = await createRedisBus({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

describeWith('redis', 'Redis', ({ url }) => {
  const settings = parseBrokerUrl(url)
  busConformance('Redis', () => open(settings), { settings, openAt: (address) => open({ ...settings, addresses: [address] }) })
})
