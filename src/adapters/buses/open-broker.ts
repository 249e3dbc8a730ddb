import type { BrokerSettings } from '../../contract/brokers.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Bus } from '../../ports/bus.ts'

export interface BrokerOptions {
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Makes the client of one broker, loading its library first. The broker need not be there: the client connects by itself, again
 * and again, with full jitter between 0.5 and 30 s. Rejects only where the settings are not right.
 */
export async function openBroker(options: BrokerOptions): Promise<Bus> {
  switch (options.settings.kind) {
    case 'kafka': {
      const { openKafkaBus } = await import('./kafka/kafka-bus.ts')
      return openKafkaBus(options)
    }
    case 'redis': {
      const { createRedisBus } = await import('./redis/redis-bus.ts')
      return createRedisBus(options)
    }
    case 'stomp': {
      const { createStompBus } = await import('./stomp/stomp-bus.ts')
      return createStompBus(options)
    }
    case 'rabbitmq': {
      const { openRabbitMqBus } = await import('./rabbitmq/rabbitmq-bus.ts')
      return openRabbitMqBus(options)
    }
    default:
      throw new RegentError('NOT_YET', `the ${options.settings.kind} bus is not there yet`)
  }
}
