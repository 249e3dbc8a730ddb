import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, connect, type Server, type Socket } from 'node:net'
import { createServer } from 'node:tls'
import { expect, it, onTestFinished, vi } from 'vitest'
import { openBroker } from '../../../src/adapters/buses/open-broker.ts'
import type { BrokerSettings, SaslSettings } from '../../../src/contract/brokers.ts'
import { channelPlace } from '../../../src/contract/channels.ts'
import type { TeamConfig } from '../../../src/contract/team.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { until } from '../../helpers/until.ts'
import { account, type OwnBroker } from './kafka-broker.ts'

async function opened(settings: BrokerSettings): Promise<Bus> {
  const bus = await openBroker({ settings, clock: systemClock, logger: silentLogger })
  onTestFinished(() => bus.close())
  return bus
}

async function carries(settings: BrokerSettings): Promise<void> {
  const bus = await opened(settings)
  const topic = freshTopic()
  const { got } = await listen(bus, topic, { group: 'g' })
  await bus.publish(topic, message('over there'))
  await until(() => got.length === 1, 'the message')
  expect(bodies(got)).toEqual(['over there'])
}

/** Accounts, certificates and the settings of channels, against a broker that wants them. */
export function securing(broker: () => OwnBroker): void {
  signing(broker)
  channelling(broker)
}

function signing(broker: () => OwnBroker): void {
  it.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)('signs in by %s, and says so when it is refused', async (mechanism) => {
    const at = { kind: 'kafka', addresses: [broker().address('sasl')] } as const
    await carries({ ...at, sasl: { mechanism, ...account } })
    const wrong = await opened({ ...at, sasl: { mechanism, ...account, password: 'wrong-secret' } })
    const refused = wrong.publish(freshTopic(), message('x'))
    await expect(refused).rejects.toMatchObject({ code: 'FORBIDDEN', message: expect.not.stringContaining('wrong-secret') })
    await expect(wrong.subscribe(freshTopic(), async () => {})).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(wrong.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.not.stringContaining('wrong-secret') })
  })

  it('speaks TLS with an authority and a certificate of its own, and with nobody that this authority did not sign', async () => {
    const at = { kind: 'kafka', addresses: [broker().address('tls')] } as const
    const own = { cert: broker().file('client.pem'), key: broker().file('client.key') }
    await carries({ ...at, tls: { ca: broker().file('ca.pem'), ...own } })
    const stranger = await opened({ ...at, tls: own })
    await expect(stranger.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/certificate|signed/i) })
    const nobody = await opened({ ...at, tls: { ca: broker().file('ca.pem') } })
    await expect(nobody.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await carries({ ...at, tls: { ...own, verify: false } })
    await expect(opened({ ...at, tls: { ca: '/nowhere/ca.pem' } })).rejects.toMatchObject({ code: 'INVALID' })
  })
}

function channelling(broker: () => OwnBroker): void {
  it('[S0-22] [I4-BUS-04] takes everything from the definition of a channel: brokers, region, prefix, SASL_SSL, ssl_config, producer and consumer settings', {
    timeout: 40_000,
  }, async () => {
    const ssl = { cafile: broker().file('ca.pem'), check_hostname: true, verify_mode: 'required' }
    const scram = {
      security_protocol: 'SASL_SSL',
      sasl_mechanism: 'SCRAM-SHA-512',
      sasl_username: account.username,
      sasl_password: account.password,
    }
    const more = { topic_prefix: 'desk_', ssl_config: ssl, consumer_config: { auto_offset_reset: 'earliest' } }
    const servers = { bootstrap_servers: ['127.0.0.1:1', broker().address('both')] }
    const name = `c-${randomUUID()}`
    const place = channelPlace(
      name,
      channel('kafka', { ...servers, ...scram, ...more, producer_config: { acks: 1, client_id: 'desk' } }),
      {},
    )
    expect(place).toMatchObject({ from: 'earliest', broker: { acks: 'leader', clientName: 'desk' }, inbound: [{ name: `desk_${name}` }] })
    const bus = await opened(place?.broker as BrokerSettings)
    const topic = place?.inbound[0] ?? freshTopic()
    await bus.publish(topic, message('before'))
    const { got } = await listen(bus, topic, { group: 'g', from: place?.from ?? 'latest' })
    await until(() => got.length === 1, 'what was there before, by auto_offset_reset')
    expect(bodies(got)).toEqual(['before'])
  })

  it('[S0-22] signs in at MSK with a token of AWS for the region, made anew for each connection', { timeout: 40_000 }, async () => {
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAMADEUP0000000000')
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'made-up-secret')
    onTestFinished(() => void vi.unstubAllEnvs())
    const recorder = await Recorder.before(broker())
    const section = { bootstrap_servers: [recorder.address], aws_region: 'eu-west-1', ssl_config: { cafile: broker().file('ca.pem') } }
    const place = channelPlace('c', channel('msk', section), {})
    expect(place?.broker?.sasl).toEqual({ mechanism: 'OAUTHBEARER', region: 'eu-west-1' } satisfies SaslSettings)
    const bus = await opened(place?.broker as BrokerSettings)
    // Kafka itself knows no tokens of AWS and refuses them; that a real MSK takes them is not proved here.
    await expect(bus.publish(freshTopic(), message('x'))).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await until(() => recorder.tokens.length > 1, 'the token of a second connection', 30_000)
    for (const token of recorder.tokens) {
      const url = new URL(Buffer.from(token, 'base64url').toString())
      expect(url.host).toBe('kafka.eu-west-1.amazonaws.com')
      expect(Object.fromEntries(url.searchParams)).toMatchObject({
        Action: 'kafka-cluster:Connect',
        'X-Amz-Credential': expect.stringMatching(/^AKIAMADEUP0000000000\/\d{8}\/eu-west-1\/kafka-cluster\/aws4_request$/),
        'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/),
      })
    }
    expect(JSON.stringify(recorder.tokens)).not.toContain('made-up-secret')
  })
}

const channel = (backend: 'kafka' | 'msk', section: object) =>
  ({ pubsub_enabled: true, pubsub_config: { backend, [backend]: section } }) as unknown as TeamConfig

/** Ends TLS before a broker that speaks SASL without it, and keeps the tokens that come by. */
class Recorder {
  readonly address: string
  readonly tokens: string[] = []

  private constructor(server: Server) {
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  static async before(broker: OwnBroker): Promise<Recorder> {
    const sockets = new Set<Socket>()
    const server = createServer({ cert: readFileSync(broker.file('broker.pem')), key: readFileSync(broker.file('broker.key')) })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const recorder = new Recorder(server)
    server.on('secureConnection', (near) => {
      const [host, port] = broker.address('sasl').split(':')
      const far = connect({ host: host ?? '', port: Number(port) })
      for (const socket of [near, far]) sockets.add(socket.on('error', () => {}))
      near.on('close', () => far.destroy())
      far.on('close', () => near.destroy())
      near.on('data', (chunk) => {
        const token = /auth=Bearer ([\w-]+)/.exec(chunk.toString('latin1'))?.[1]
        if (token) recorder.tokens.push(token)
      })
      near.pipe(far).pipe(near)
    })
    onTestFinished(async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    })
    return recorder
  }
}
