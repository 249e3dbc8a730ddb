import type { Config } from './config.ts'
import type { WrittenConfig } from './schema.ts'

type Written = WrittenConfig['brokers']

/** The address of each broker that is named. */
export function brokersOf(written: Written): Config['brokers'] {
  const redis = written.redis_url ?? (written.redis_host && `redis://${asHost(written.redis_host)}:${written.redis_port}`)
  const kafka = written.kafka_url ?? kafkaOf(written)
  const stomp = stompOf(written)
  return {
    ...(redis && { redis }),
    ...(kafka && { kafka }),
    ...(written.rabbitmq_url && { rabbitmq: written.rabbitmq_url }),
    ...(stomp && { stomp }),
  }
}

/** Amazon's brokers ask for IAM on these ports. */
const isAmazon = (server: string): boolean => /:(9098|9198)$/.test(server) || /\.amazonaws\.com(:\d+)?$/.test(server)

function kafkaOf({ bootstrap_servers: servers, aws_region: region }: Written): string | undefined {
  if (servers.length === 0) return undefined
  const iam = servers.every(isAmazon)
  return `${iam ? 'kafkas' : 'kafka'}://${servers.join(',')}${iam ? `?mechanism=OAUTHBEARER&region=${encodeURIComponent(region)}` : ''}`
}

function stompOf(written: Written): string | undefined {
  if (!written.activemq_host) return undefined
  const files = { ca: written.activemq_ca_certs, cert: written.activemq_cert_file, key: written.activemq_key_file }
  const query = Object.entries(files).flatMap(([name, path]) => (path === undefined ? [] : [`${name}=${encodeURIComponent(path)}`]))
  const account = `${encodeURIComponent(written.activemq_user)}:${encodeURIComponent(written.activemq_password)}`
  const address = `${asHost(written.activemq_host)}:${written.activemq_port}`
  const tls = written.activemq_use_ssl
  return `${tls ? 'stomps' : 'stomp'}://${account}@${address}${tls && query.length > 0 ? `?${query.join('&')}` : ''}`
}

const asHost = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host)
