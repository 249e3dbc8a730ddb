/** The JSON of the agent manager's README, with another broker where one is given. */
export function cryptoTrader(pubsub?: object): Record<string, unknown> {
  return {
    username: 'alice',
    name: 'crypto_trader',
    subagents: [
      {
        name: 'finder',
        instruction:
          'You are an agent with access to the internet; you need to search about the latest prices of Bitcoin and other major cryptocurrencies and report back.',
        servers: ['fetch'],
        model: 'haiku',
      },
      {
        name: 'reporter',
        instruction:
          'You are an agent that takes the raw pricing data provided by the finder agent and produces a concise, human-readable summary highlighting current prices, 24-hour changes, and key market insights.',
        servers: [],
        model: 'haiku',
      },
    ],
    json_config: {
      mcp: {
        servers: {
          fetch: {
            name: 'fetch',
            description: 'A server for fetching links',
            transport: 'stdio',
            command: 'uvx',
            args: ['mcp-server-fetch'],
            tool_calls: [{ name: 'fetch', seek_confirm: true, time_to_confirm: 120_000, default: 'reject' }],
          },
        },
      },
      default_model: 'haiku',
      logger: { level: 'info', type: 'console' },
      pubsub_enabled: true,
      pubsub_config: pubsub ?? msk,
      anthropic: { api_key: '' },
    },
    initial_task: 'Find the current price of Bitcoin and provide a market summary.',
  }
}

/** The README's own broker, under a name that no resolver knows. */
const msk = {
  backend: 'msk',
  channel_name: 'crypto_trader',
  msk: {
    bootstrap_servers: ['b-3.kafka.invalid:9198', 'b-1.kafka.invalid:9198'],
    aws_region: 'ap-south-1',
    topic_prefix: 'mcp_agent_',
    security_protocol: 'SASL_SSL',
    sasl_mechanism: 'OAUTHBEARER',
    ssl_config: { check_hostname: false, verify_mode: 'none' },
    producer_config: { acks: 'all', client_id: 'mcp_agent_producer' },
    consumer_config: { auto_offset_reset: 'latest', enable_auto_commit: true, client_id: 'mcp_agent_consumer' },
  },
}
