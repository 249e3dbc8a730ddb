import { describe, expect, it } from 'vitest'
import { channelDefaults, channelPlace } from '../../src/contract/channels.ts'
import { teamConfig } from '../../src/contract/team.ts'

const placeOf = (pubsub_config: object, env: Record<string, string> = {}) =>
  channelPlace('crypto_trader', teamConfig.parse({ pubsub_enabled: true, pubsub_config }), channelDefaults(env))

describe('where the channel of a definition is', () => {
  it('[S0-22] [I4-CH-01] is at MSK by every key of the README', () => {
    const msk = {
      bootstrap_servers: ['b-3.example:9198', 'b-1.example'],
      aws_region: 'eu-west-1',
      topic_prefix: 'team_',
      security_protocol: 'SASL_SSL',
      sasl_mechanism: 'OAUTHBEARER',
      ssl_config: { check_hostname: false, verify_mode: 'none' },
      producer_config: { acks: 'all', client_id: 'mcp_agent_producer' },
      consumer_config: { auto_offset_reset: 'earliest', enable_auto_commit: true, client_id: 'mcp_agent_consumer' },
    }
    expect(placeOf({ backend: 'msk', channel_name: 'news', msk })).toEqual({
      backend: 'kafka',
      stem: 'news',
      inbound: [{ name: 'team_news' }],
      outbound: [{ name: 'team_agent_news' }],
      outboundId: 'agent_news',
      from: 'earliest',
      broker: {
        kind: 'kafka',
        addresses: ['b-3.example:9198', 'b-1.example:9092'],
        clientName: 'mcp_agent_producer',
        tls: { verify: false, checkHostname: false },
        sasl: { mechanism: 'OAUTHBEARER', region: 'eu-west-1' },
      },
    })
  })

  it("[S0-22] has the README's defaults, and the environment for what is left out", () => {
    const env = { MSK_BOOTSTRAP_SERVERS: 'h1:1, h2:2', AWS_REGION: 'us-east-1' }
    expect(placeOf({ backend: 'msk' }, env)).toMatchObject({
      inbound: [{ name: 'mcp_agent_crypto_trader' }],
      outbound: [{ name: 'mcp_agent_agent_crypto_trader' }],
      from: 'latest',
      broker: { addresses: ['h1:1', 'h2:2'], tls: {}, sasl: { mechanism: 'OAUTHBEARER', region: 'us-east-1' } },
    })
    expect(placeOf({ backend: 'kafka' }, env)?.broker).toEqual({ kind: 'kafka', addresses: ['h1:1', 'h2:2'] })
    const scram = { security_protocol: 'SASL_PLAINTEXT', sasl_mechanism: 'SCRAM-SHA-512', sasl_username: 'u', sasl_password: 'p' }
    expect(placeOf({ backend: 'kafka', kafka: scram }, env)?.broker).toMatchObject({
      sasl: { mechanism: 'SCRAM-SHA-512', username: 'u', password: 'p' },
    })
    expect(placeOf({ backend: 'kafka', kafka: { producer_config: { acks: 1 } } }, env)?.broker?.acks).toBe('leader')
  })

  it.each([
    [{ security_protocol: 'SASL' }, 'security_protocol is "SASL"', /PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL/],
    [{ security_protocol: 'SASL_SSL', sasl_mechanism: 'PLAIN' }, 'sasl_username is missing', /sasl_password/],
    [{ producer_config: { acks: 'most' } }, 'producer_config.acks is "most"', /use all, 1/],
    [{ consumer_config: { auto_offset_reset: 'newest' } }, 'consumer_config.auto_offset_reset is "newest"', /latest, earliest/],
  ])('names the field that is not right in %j, and the remedy', (section, words, hint) => {
    const read = () => placeOf({ backend: 'kafka', kafka: { bootstrap_servers: ['h:1'], ...section } })
    expect(read).toThrow(
      expect.objectContaining({ code: 'INVALID', message: `pubsub_config.kafka.${words}`, hint: expect.stringMatching(hint) }),
    )
  })

  it('has a port that there can be', () => {
    expect(() => placeOf({ backend: 'redis', redis: { host: 'h', port: 99_999 } })).toThrow('the broker h:99999 has no such port')
    expect(() => placeOf({ backend: 'kafka', kafka: { bootstrap_servers: ['h:99999'] } })).toThrow('the broker h:99999 has no such port')
  })

  it('is at Redis on both of the names that its users know', () => {
    const env = { REDIS_HOST: 'redis.local', REDIS_PORT: '6380' }
    const names = ['agent:news', 'agent:news:stream', 'agent:crypto_trader', 'agent:crypto_trader:stream']
    const place = placeOf({ backend: 'redis', channel_name: 'news' }, env)
    expect(place?.inbound.map(({ name }) => name)).toEqual(names)
    expect(place?.inbound.filter(({ fleeting }) => fleeting).map(({ name }) => name)).toEqual(['agent:news', 'agent:crypto_trader'])
    expect(place?.outbound.map(({ name }) => name)).toEqual(['agent:agent_news', 'agent:agent_news:stream'])
    expect(place?.broker).toEqual({ kind: 'redis', addresses: ['redis.local:6380'] })
    expect(placeOf({ use_redis: true, redis: { host: 'h', port: 1, db: 3, password: 'p' } }, env)?.broker).toEqual({
      kind: 'redis',
      addresses: ['h:1'],
      database: '3',
      password: 'p',
    })
    expect(placeOf({ backend: 'redis', redis: { channel_prefix: 'x:' } })?.outbound[0]?.name).toBe('x:agent_crypto_trader')
    expect(placeOf({ backend: 'redis' }, { REDIS_URL: 'rediss://u:p@h:7/2' })?.broker).toMatchObject({
      addresses: ['h:7'],
      username: 'u',
      tls: {},
    })
    expect(placeOf({ backend: 'redis', redis: { host: 'other' } }, { REDIS_URL: 'redis://u:p@h:7' })?.broker).toEqual({
      kind: 'redis',
      addresses: ['other:7'],
    })
  })

  it('[S0-45] is with Regent by default, and nowhere while pub/sub is off', () => {
    expect(placeOf({ channel_name: 'news' })).toMatchObject({
      backend: 'memory',
      inbound: [{ name: 'agent:news' }],
      outbound: [{ name: 'agent_news' }],
      broker: undefined,
    })
    expect(channelPlace('x', teamConfig.parse({ pubsub_config: { backend: 'redis' } }), {})).toBeUndefined()
  })
})
