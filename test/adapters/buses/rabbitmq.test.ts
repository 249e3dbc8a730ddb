import { busConformance } from '../../conformance/bus.ts'
import { describeWith } from '../../helpers/services.ts'
import { RabbitWorld } from './rabbitmq-world.ts'

describeWith('rabbitmq', 'RabbitMQ', (urls) => {
  const world = RabbitWorld.of(urls)
  busConformance('RabbitMQ', () => world.open(), {
    settings: world.settings,
    openAt: (address) => world.open({ addresses: [address] }),
  })
})
