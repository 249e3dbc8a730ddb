import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { onTestFinished } from 'vitest'
import type { BrokerSettings } from '../../src/contract/brokers.ts'
import { temporaryFolder } from './folder.ts'

export interface Certificates {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A CA of its own, and a certificate that it signed for these names. */
export function certificates(names: string): Certificates {
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
export async function tlsBefore({ addresses }: BrokerSettings, { cert, key }: Certificates, versions = '1.2,1.1') {
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
