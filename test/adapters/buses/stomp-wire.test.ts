import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { type BrokerSettings, parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { UNNAMED } from '../../../src/ports/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { StompPeer } from '../../helpers/stomp-peer.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'

const queue = () => ({ name: `/queue/regent-test-${randomUUID()}` })
const topic = () => ({ name: `/topic/regent-test-${randomUUID()}` })

const brokers = [
  ['activemq', 'url'],
  ['rabbitmq', 'stomp'],
] as const

for (const [service, which] of brokers) {
  describeWith(service, `STOMP at ${service}, among strangers`, (urls) => {
    const settings = parseBrokerUrl((urls as Record<string, string>)[which] ?? '')
    const open = (over: Partial<BrokerSettings> = {}) => {
      const bus = createStompBus({ settings: { ...settings, ...over }, clock: systemClock, logger: silentLogger })
      onTestFinished(() => bus.close())
      return bus
    }

    it("takes a stranger's messages from a queue: their words, their headers, an id for each", async () => {
      const [bus, place, peer] = [open(), queue(), await StompPeer.open(settings)]
      const { got } = await listen(bus, place)
      const headers = {
        'content-type': 'text/plain',
        msg_type: 'stf_ready',
        'correlation-id': 'c 1',
        'reply-to': '/queue/answers',
        vo: 'eic',
      }
      peer.send(place.name, '{"héllo":1}', headers)
      peer.send(place.name, 'second')
      await until(() => got.length === 2, 'both')
      expect(got[0]).toMatchObject({
        body: '{"héllo":1}',
        contentType: 'text/plain',
        correlationId: 'c 1',
        replyTo: '/queue/answers',
        headers: { msg_type: 'stf_ready', vo: 'eic' },
        attempt: 1,
      })
      expect(Object.keys(got[0]?.headers ?? {}).sort()).toEqual(['msg_type', 'vo'])
      expect(got[1]?.headers).toBeUndefined()
      expect(new Set(got.map(({ id }) => id)).size).toBe(2)
      expect(got.every(({ id }) => id.startsWith(UNNAMED) === (service === 'rabbitmq'))).toBe(true)
    })

    it('gives such a message the same id when it comes again', async () => {
      const [place, peer] = [queue(), await StompPeer.open(settings)]
      const proxy = await TcpProxy.open(settings.addresses[0] ?? '')
      const first = open({ addresses: [proxy.address] })
      const gate = Promise.withResolvers<void>()
      const held = await listen(first, place, {}, () => gate.promise)
      peer.send(place.name, 'once')
      await until(() => held.got.length === 1, 'the first delivery')
      proxy.refuse()
      const { got } = await listen(open(), place)
      await until(() => got.length === 1, 'the second delivery')
      expect(got[0]).toMatchObject({ id: held.got[0]?.id, body: 'once', attempt: 2 })
      gate.resolve()
    })

    it('sends texts that a stranger reads as texts, and bodies with a NUL whole', async () => {
      const [bus, place, peer] = [open(), queue(), await StompPeer.open(settings)]
      await peer.subscribe(place.name)
      const sent = message('{"a":"é😀"}', { contentType: 'application/json', headers: { run_id: 'none' }, correlationId: 'c-1' })
      await bus.publish(place, sent)
      const { headers, body } = await peer.next(({ command }) => command === 'MESSAGE')
      expect(body).toBe(sent.body)
      expect(headers).toMatchObject({
        'regent-id': sent.id,
        'content-type': 'application/json',
        'correlation-id': 'c-1',
        run_id: 'none',
        persistent: 'true',
      })
      expect(headers['content-length'] === undefined).toBe(service === 'activemq')
      const other = queue()
      const { got } = await listen(bus, other)
      for (const odd of ['a\0b', '', '\n', '\0']) await bus.publish(other, message(odd))
      await until(() => got.length === 4, 'all')
      expect(bodies(got)).toEqual(['a\0b', '', '\n', '\0'])
    })

    it('carries headers of any kind and lets none pass for another', async () => {
      const [bus, place] = [open(), freshTopic()]
      const { got } = await listen(bus, place)
      const headers = {
        destination: '/queue/elsewhere',
        'message-id': 'forged',
        persistent: 'false',
        'regent-id': 'forged',
        'content-length': '1',
        redelivered: 'true',
        'a b': ' spaced ',
        'c:d': 'line\nreceipt:x',
        empty: '',
        é: 'ü',
        back: 'a\\nb',
        UPPER: 'Case',
      }
      const sent = message('x', { headers, key: ' k\n', correlationId: '', replyTo: 'a\\b', contentType: 'text/plain; charset="utf-8"' })
      await bus.publish(place, { ...sent, id: `odd ${sent.id}\r\n` })
      await until(() => got.length === 1, 'the message')
      expect(got[0]).toEqual({ ...sent, id: `odd ${sent.id}\r\n`, topic: place, attempt: 1 })
      await expect(bus.publish(place, message('x', { headers: { long: 'y'.repeat(9000) } }))).rejects.toMatchObject({ code: 'TOO_LARGE' })
      const many = Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`h${at}`, 'y'.repeat(7500)]))
      await expect(bus.publish(place, message('x', { headers: many }))).rejects.toMatchObject({ code: 'TOO_LARGE' })
      expect(bus.status().reconnects).toBe(0)
    })

    it('lets subscribers of a queue compete, and gives a topic to all', async () => {
      const [bus, work, news] = [open(), queue(), topic()]
      const workers = [await listen(bus, work), await listen(bus, work)]
      const readers = [await listen(bus, news), await listen(bus, news)]
      const peer = await StompPeer.open(settings)
      for (let at = 0; at < 40; at++) {
        peer.send(work.name, `${at}`)
        peer.send(news.name, `${at}`)
      }
      await until(() => readers.every(({ got }) => got.length === 40), 'all, at each reader')
      await until(() => workers.flatMap(({ got }) => got).length === 40, 'all, at one worker or the other')
      expect(new Set(workers.flatMap(({ got }) => bodies(got))).size).toBe(40)
    })

    it('keeps what is said on a topic for a group that is away', async () => {
      const [bus, place, peer] = [open(), topic(), await StompPeer.open(settings)]
      const first = await listen(bus, place, { group: 'g' })
      peer.send(place.name, '1')
      await until(() => first.got.length === 1, 'the first')
      await first.subscription.close()
      peer.send(place.name, '2')
      const later = await listen(bus, place, { group: 'g' })
      await until(() => later.got.length === 1, 'what came meanwhile')
      expect(bodies(later.got)).toEqual(['2'])
    })

    it('shows a dead letter to strangers too, with its reason', async () => {
      const [bus, place, peer] = [open(), queue(), await StompPeer.open(settings)]
      await listen(bus, place, { maxAttempts: 1 }, () => Promise.reject(new Error("it isn't for me")))
      peer.send(place.name, 'poison')
      await until(async () => (await bus.deadLetters(place)).length === 1, 'the dead letter')
      const [letter] = await bus.deadLetters(place)
      expect(letter).toMatchObject({ group: null, reason: "it isn't for me", message: { body: 'poison', topic: place } })
      expect(await bus.drop(letter?.id ?? '')).toBe(true)
    })

    it('goes on when a handled message comes again because its acknowledgement was lost: it is not handled twice', async () => {
      const [direct, place] = [open(), freshTopic()]
      const proxy = await TcpProxy.open(settings.addresses[0] ?? '')
      const bus = open({ addresses: [proxy.address] })
      const gate = Promise.withResolvers<void>()
      const { got } = await listen(bus, place, { group: 'g' }, () => gate.promise)
      await direct.publish(place, message('1'))
      await until(() => got.length === 1, 'the message')
      proxy.cut()
      await until(() => proxy.connections === 2, 'both connections again', 20_000)
      gate.resolve()
      await direct.publish(place, message('2'))
      await until(() => bodies(got).includes('2'), 'the next')
      expect(bodies(got)).toEqual(['1', '2'])
    })

    it('says what a broker of this kind cannot do', async () => {
      const bus = open()
      await bus.check()
      const declared = { queue: { name: 'q', durable: true } }
      await expect(bus.subscribe(freshTopic(), async () => {}, declared)).rejects.toMatchObject({ code: 'INVALID' })
      if (service === 'activemq') {
        for (const place of [{ name: '/exchange/a/b' }, { name: 'k', exchange: 'a' }]) {
          await expect(bus.publish(place, message('x'))).rejects.toMatchObject({ code: 'INVALID' })
          await expect(bus.subscribe(place, async () => {})).rejects.toMatchObject({ code: 'INVALID' })
        }
      } else {
        const nowhere = { name: `/exchange/none-${randomUUID()}/k` }
        await expect(bus.subscribe(nowhere, async () => {})).rejects.toMatchObject({ code: 'INVALID' })
      }
      await expect(bus.check()).resolves.toBeUndefined()
    })

    it('misses the heart-beat of a broker that hangs, though nobody asks it anything', { timeout: 40_000 }, async () => {
      const proxy = await TcpProxy.open(settings.addresses[0] ?? '')
      const bus = open({ addresses: [proxy.address], heartbeat: 1000 })
      const { got } = await listen(bus, freshTopic())
      const told: unknown[] = []
      bus.onStatus(({ connected }) => void told.push(connected))
      bus.onStatus(() => void told.push('to nobody'))()
      await until(() => bus.status().connected, 'the connection')
      proxy.freeze()
      await until(() => !bus.status().connected, 'that it is missed', 10_000)
      expect(bus.status().reason).toMatch(/silent|no answer/)
      proxy.heal()
      await until(() => bus.status().connected, 'the connection again', 30_000)
      expect(told.slice(-2)).toEqual([false, true])
      expect(told).not.toContain('to nobody')
      expect(got).toEqual([])
    })
  })
}

describeWith('rabbitmq', 'an account that a STOMP broker refuses', ({ stomp }) => {
  it('is named in the reason, its password is not', async () => {
    const settings = { ...parseBrokerUrl(stomp), username: 'guest', password: 'wrong-pass-word' }
    const bus = createStompBus({ settings, clock: systemClock, logger: silentLogger })
    onTestFinished(() => bus.close())
    const problem = await bus.check().catch((error: Error) => error)
    expect(problem).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('Access refused') })
    expect(`${problem}${JSON.stringify(bus.status())}`).not.toContain('wrong-pass-word')
  })
})
