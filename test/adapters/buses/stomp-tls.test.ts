import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { expect, it, onTestFinished } from 'vitest'
import { createStompBus } from '../../../src/adapters/buses/stomp/stomp-bus.ts'
import { type BrokerSettings, parseBrokerUrl, type TlsSettings } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import { freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { describeWith } from '../../helpers/services.ts'
import { until } from '../../helpers/until.ts'

interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A CA of its own, and a certificate that it signed for these names. */
function certificates(names: string): Certificates {
  const folder = temporaryFolder()
  const at = (file: string) => join(folder, file)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  writeFileSync(at('names'), `subjectAltName=${names}\n`)
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-subj', '/CN=Test CA', '-days', '2')
  openssl('req', ...key, '-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=broker')
  const sign = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('names')]
  openssl('x509', '-req', '-in', at('csr.pem'), '-out', at('cert.pem'), ...sign)
  return { ca: at('ca.pem'), cert: at('cert.pem'), key: at('key.pem') }
}

/** Ends TLS before a broker; `versions` are those the broker may speak. Answers where, and what clients said first. */
async function tlsBefore({ addresses }: BrokerSettings, { cert, key }: Certificates, versions: string) {
  const greetings: string[] = []
  const [host = '', port = ''] = (addresses[0] ?? '').split(':')
  const server = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (near) => {
    const far = connect({ host, port: Number(port) })
    near.once('data', (first: Buffer) => {
      greetings.push(first.toString())
      far.write(first.toString().replace(/accept-version:.*/, `accept-version:${versions}`))
      near.pipe(far)
    })
    far.pipe(near)
    for (const [one, other] of [[near, far] as const, [far, near] as const]) one.on('error', () => {}).on('close', () => other.destroy())
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { port: (server.address() as { port: number }).port, greetings }
}

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
