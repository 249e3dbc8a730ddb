import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { bodies, listen } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { StompPeer } from '../../helpers/stomp-peer.ts'
import { until } from '../../helpers/until.ts'

const SIZE = 10 * 1024 * 1024
const large = 'x'.repeat(SIZE)

const brokers = [
  ['activemq', 'url'],
  ['rabbitmq', 'stomp'],
] as const

for (const [service, which] of brokers) {
  describeWith(service, `a stranger's message of 10 MiB over STOMP at ${service}`, (urls) => {
    const settings = parseBrokerUrl((urls as Record<string, string>)[which] ?? '')
    const open = () => {
      const bus = createStompBus({ settings, clock: systemClock, logger: silentLogger })
      onTestFinished(() => bus.close())
      return bus
    }

    for (const [how, headers] of [
      ['with a content-length', { 'content-length': `${SIZE}` }],
      ['without one', {}],
    ] as const) {
      it(`is given up unread, ${how}, and those about it are handled`, async () => {
        const [bus, place, peer] = [open(), { name: `/queue/regent-test-${randomUUID()}` }, await StompPeer.open(settings)]
        const { got } = await listen(bus, place)
        peer.send(place.name, 'before')
        peer.send(place.name, large, { kind: 'large', ...headers })
        peer.send(place.name, 'after')
        await until(() => got.length === 2, 'the small ones', 20_000)
        await until(async () => (await bus.deadLetters(place)).length === 1, 'the dead letter', 20_000)
        expect(bodies(got)).toEqual(['before', 'after'])
        const [letter] = await bus.deadLetters(place)
        expect(letter).toMatchObject({ message: { body: '', headers: { kind: 'large' }, attempt: 0 } })
        expect(letter?.reason).toContain(`TOO_LARGE: it has ${SIZE} bytes`)
        expect(bus.status().reconnects).toBe(0)
        await expect(bus.requeue(letter?.id ?? '')).rejects.toMatchObject({ code: 'TOO_LARGE' })
        expect(await bus.drop(letter?.id ?? '')).toBe(true)
        expect(await bus.deadLetters(place)).toEqual([])
      })
    }

    it('is listed without its body where it is a dead letter already, and stays until it is dropped', async () => {
      const [bus, place, peer] = [open(), { name: `dead-${randomUUID()}` }, await StompPeer.open(settings)]
      const id = randomUUID()
      const about = { regent_dead_id: id, regent_dead_topic: place.name, regent_dead_reason: 'old', regent_dead_at: `${Date.now()}` }
      peer.send('/queue/regent.dead', large, { persistent: 'true', ...about })
      await until(async () => (await bus.deadLetters(place)).length === 1, 'the dead letter', 20_000)
      const [letter] = await bus.deadLetters(place)
      expect(letter).toMatchObject({ id, reason: `old (its body of ${SIZE} bytes is too large to be read)`, message: { body: '' } })
      await expect(bus.requeue(id)).rejects.toMatchObject({ code: 'TOO_LARGE' })
      expect(await bus.drop(id)).toBe(true)
      expect(await bus.deadLetters(place)).toEqual([])
    })
  })
}
