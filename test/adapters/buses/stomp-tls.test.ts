import { expect, it, onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { type BrokerSettings, parseBrokerUrl, type TlsSettings } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { certificates, tlsBefore } from '../../helpers/tls.ts'
import { until } from '../../helpers/until.ts'

function open(address: string, tls: TlsSettings, account: Partial<BrokerSettings> = {}): Bus {
  const settings: BrokerSettings = { kind: 'stomp', ...account, addresses: [address], tls }
  const bus = createStompBus({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

const brokers = [
  ['activemq', 'url'],
  ['rabbitmq', 'stomp'],
] as const

for (const [service, which] of brokers) {
  describeWith(service, `STOMP over TLS at ${service}`, (urls) => {
    const broker = parseBrokerUrl((urls as Record<string, string>)[which] ?? '')
    const { username, password } = broker
    const account = { ...(username !== undefined && { username }), ...(password !== undefined && { password }) }

    for (const version of ['1.1', '1.2']) {
      it(`[S3-39] [I4-BUS-07] speaks STOMP ${version} with a heart-beat of 30 s, to a broker whose certificate a given CA signed`, async () => {
        const files = certificates('DNS:localhost,IP:127.0.0.1')
        const { port, greetings } = await tlsBefore(broker, files, version)
        const bus = open(`localhost:${port}`, { ca: files.ca }, account)
        const topic = freshTopic()
        const { got } = await listen(bus, topic, { group: 'g:1' }, async ({ attempt }) => {
          if (attempt === 1) throw new Error('once more')
        })
        const sent = message('{"a":1}', {
          contentType: 'application/json',
          key: 'a:b',
          headers: { url: 'http://x:1/\\n', note: 'two\nlines' },
        })
        await bus.publish(topic, sent)
        await until(() => got.length === 2, 'both attempts')
        expect(got[1]).toEqual({ ...sent, topic, attempt: 2 })
        expect(greetings[0]).toMatch(/^CONNECT\n/)
        expect(greetings[0]).toMatch(/\naccept-version:1\.2,1\.1\n/)
        expect(greetings[0]).toMatch(/\nheart-beat:30000,30000\n/)
      })
    }
  })
}

describeWith('activemq', 'the certificate of a STOMP broker', ({ url }) => {
  const broker = parseBrokerUrl(url)

  it('must be signed by whom the settings name, and be for the host', async () => {
    const [files, others] = [certificates('DNS:elsewhere.test'), certificates('DNS:localhost')]
    const { port } = await tlsBefore(broker, files, '1.2')
    const unsigned = open(`localhost:${port}`, { ca: others.ca })
    await expect(unsigned.check()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/signature|certificate|self.signed/i),
    })
    const misnamed = open(`localhost:${port}`, { ca: files.ca })
    await expect(misnamed.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/altnames|host/i) })
    await expect(open(`localhost:${port}`, { ca: files.ca, checkHostname: false }).check()).resolves.toBeUndefined()
    await expect(open(`localhost:${port}`, { verify: false }).check()).resolves.toBeUndefined()
  })

  it('is not asked for where its CA cannot be read: the reason names the file', async () => {
    const bus = open('localhost:1', { ca: '/nowhere/ca.pem' })
    await expect(bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('/nowhere/ca.pem') })
  })
})
