import { onTestFinished } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import type { BrokerSettings } from '../../../src/contract/brokers.ts'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { busConformance } from '../../conformance/bus.ts'
import { describeWith } from '../../helpers/services.ts'

async function opened(settings: BrokerSettings) {
  const bus = await openBroker({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

describeWith('kafka', 'on a real broker', ({ url }) => {
  const settings = parseBrokerUrl(url)
  busConformance('Kafka', () => opened(settings), { settings })
})
