import { expect, it, onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus, Outgoing, Topic } from '../../../src/ports/bus.ts'
import { freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { OwnActiveMq } from '../../helpers/own-activemq.ts'
import { describeWith } from '../../helpers/services.ts'
import { until } from '../../helpers/until.ts'

const COUNT = 400

describeWith('activemq', 'a STOMP broker that fails in the middle of work', () => {
  const open = (address: string): Bus => {
    const bus = createStompBus({ settings: { kind: 'stomp', addresses: [address] }, clock: systemClock, logger: silentLogger })
    onTestFinished(() => bus.close())
    return bus
  }

  /** As an outbox does: the same message under the same id until it is confirmed; no call may take much longer than 5 s. */
  async function publishSurely(bus: Bus, topic: Topic, one: Outgoing): Promise<number> {
    for (let refusals = 0; ; refusals++) {
      const begun = performance.now()
      try {
        await bus.publish(topic, one)
        return refusals
      } catch (error) {
        expect(error).toBeInstanceOf(RegentError)
        expect((error as RegentError).code).toBe('UNAVAILABLE')
        expect(performance.now() - begun).toBeLessThan(7000)
      }
    }
  }

  for (const trouble of ['killed -9 and started again, three times', 'frozen for some seconds'] as const) {
    it(`loses nothing when it is ${trouble}: each message is handled, in order`, { timeout: 180_000 }, async () => {
      const broker = await OwnActiveMq.start()
      const [sender, bus, topic] = [open(broker.address), open(broker.address), freshTopic()]
      const { got } = await listen(bus, topic, { group: 'g' })
      const sent = Array.from({ length: COUNT }, (_, at) => message(`${at}`, { key: 'k' }))
      let done = 0
      let refusals = 0
      const publishing = (async () => {
        for (const one of sent) {
          refusals += await publishSurely(sender, topic, one)
          done += 1
        }
      })()
      const rounds = trouble.startsWith('killed') ? 3 : 1
      for (let round = 1; round <= rounds; round++) {
        await until(() => done >= (round * COUNT) / (rounds + 1), `${round} of ${rounds + 1} parts`, 60_000)
        if (trouble.startsWith('killed')) {
          await broker.kill()
          await until(() => !sender.status().connected && !bus.status().connected, 'that it is noticed')
          await broker.run()
        } else {
          broker.freeze()
          await until(() => refusals > 0 || !sender.status().connected, 'that it is noticed', 15_000)
          await systemClock.sleep(3000)
          broker.thaw()
        }
      }
      await publishing
      const firsts = () => [...new Set(got.map(({ body }) => Number(body)))]
      await until(() => firsts().length === COUNT, 'all of them', 60_000)
      expect(firsts()).toEqual(Array.from({ length: COUNT }, (_, at) => at))
      const ids = new Map(sent.map(({ body, id }) => [body, id]))
      expect(got.every(({ body, id }) => ids.get(body) === id)).toBe(true)
      await until(() => bus.status().connected && sender.status().connected, 'both connections', 40_000)
      expect(sender.status().reconnects).toBeGreaterThan(0)
    })
  }
})
