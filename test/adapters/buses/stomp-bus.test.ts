import { onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { busConformance } from '../../conformance/bus.ts'
import { describeWith } from '../../helpers/services.ts'

function conformance(name: string, url: string): void {
  const settings = parseBrokerUrl(url)
  const openAt = async (address?: string): Promise<Bus> => {
    const bus = createStompBus({
      settings: address === undefined ? settings : { ...settings, addresses: [address] },
      clock: systemClock,
      logger: silentLogger,
    })
    onTestFinished(() => bus.close())
    return bus
  }
  busConformance(name, () => openAt(), { settings, openAt })
}

describeWith('activemq', 'ActiveMQ', ({ url }) => conformance('STOMP at ActiveMQ', url))
describeWith('rabbitmq', "RabbitMQ's STOMP", ({ stomp }) => conformance('STOMP at RabbitMQ', stomp))
