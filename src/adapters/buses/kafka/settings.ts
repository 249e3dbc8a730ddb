import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import type { ConnectionPool } from '@platformatic/kafka'
import type { BrokerSettings, SaslSettings, TlsSettings } from '../../../contract/brokers.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import { isObject, tryParse } from '../../../kernel/json.ts'

type ConnectionOptions = NonNullable<ConstructorParameters<typeof ConnectionPool>[1]>
type Secured = Pick<ConnectionOptions, 'tls' | 'tlsServerName' | 'sasl'>

export const CONNECT_MS = 4000

/** TLS and SASL as the library wants them. Rejects with INVALID when a file cannot be read. */
export async function securedBy({ addresses, tls, sasl }: BrokerSettings): Promise<Secured> {
  return {
    ...(tls && { tls: await tlsOf(tls) }),
    // An address in numbers has no name to be asked for.
    ...(tls && addresses.every((address) => isIP(hostOf(address)) === 0) && { tlsServerName: true }),
    ...(sasl && { sasl: await saslOf(sasl) }),
  }
}

export const hostOf = (address: string): string => address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')
export const portOf = (address: string): number => Number(/:(\d+)$/.exec(address)?.[1] ?? 9092)

async function tlsOf({ ca, cert, key, verify, checkHostname }: TlsSettings): Promise<NonNullable<ConnectionOptions['tls']>> {
  return {
    ...(ca !== undefined && { ca: await pem('ca', ca) }),
    ...(cert !== undefined && { cert: await pem('cert', cert) }),
    ...(key !== undefined && { key: await pem('key', key) }),
    ...(verify === false && { rejectUnauthorized: false }),
    ...(checkHostname === false && { checkServerIdentity: () => undefined }),
  }
}

async function pem(field: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new RegentError('INVALID', `the file of Kafka's TLS field ${field} cannot be read: ${reasonOf(error)}`)
  }
}

async function saslOf(sasl: SaslSettings): Promise<NonNullable<ConnectionOptions['sasl']>> {
  if (sasl.mechanism !== 'OAUTHBEARER') return { ...sasl }
  const [signer, { AuthenticationError }] = await Promise.all([import('aws-msk-iam-sasl-signer-js'), import('@platformatic/kafka')])
  return {
    mechanism: 'OAUTHBEARER',
    // Asked for at each connection: a token lasts 15 minutes.
    token: async () => (await signer.generateAuthToken({ region: sasl.region })).token,
    // A refused token is answered as if all were well, with the reason as JSON.
    authBytesValidator: (bytes, callback) => {
      const said = tryParse(bytes?.toString() ?? '')
      if (isObject(said) && said.status !== undefined)
        callback(new AuthenticationError(`the token of AWS was refused: ${String(said.status)}`))
      else callback(null, bytes)
    },
  }
}
