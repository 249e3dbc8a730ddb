/** What Regent runs with: complete, checked and frozen. `regent.toml` has another shape (schema.ts). */
export interface Config {
  /** Absolute: the database, run directories, logs, token. */
  readonly home: string
  /** Absolute: runbooks, agent files, `.env`, `regent.toml`. */
  readonly project: string
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  readonly orchestratorPort: number | 'off'
  /** The address that clients are told; undefined: that of the listener. */
  readonly url: string | undefined
  readonly auth: 'auto' | 'token' | 'none'
  /** `sqlite:ABSOLUTE PATH` or `postgres://…`. */
  readonly databaseUrl: string
  /** `memory:`, `redis://…`, `kafka://host:port,…`, `amqp://…`, `stomp://…`. */
  readonly busUrl: string
  /** Addresses of the brokers beside it, as `parseBrokerUrl` reads them; an absent one is not used. */
  readonly brokers: { readonly redis?: string; readonly kafka?: string; readonly rabbitmq?: string; readonly stomp?: string }
  readonly allowInsecureTls: boolean
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  /** Values of the Host header that are accepted beside the local ones. */
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  /** Regent ends by itself so long after nobody needs it; null: never. */
  readonly idleExitMs: number | null
  /** A Regent that is told to stop ends its agents. */
  readonly stopAgents: boolean
  /** Absolute path of the user's own agent template; undefined: the shipped one. */
  readonly template: string | undefined
  readonly models: {
    readonly anthropicKey: string | undefined
    readonly openaiKey: string | undefined
    readonly anthropicBaseUrl: string | undefined
    readonly openaiBaseUrl: string | undefined
    /** What an agent uses that names no model; undefined: its own default. */
    readonly default: string | undefined
  }
  readonly tools: {
    /** Hosts, `host:port`s or CIDR ranges that tools may reach although they are private or plain http. */
    readonly allowHosts: readonly string[]
  }
  readonly agents: {
    /** Seconds. */
    readonly startsecs: number
    readonly startretries: number
    /** Seconds. */
    readonly stopGrace: number
    /** Automatic restarts of all agents together. */
    readonly restartsPerSecond: number
    /** Agents that a user who is not an admin may have. */
    readonly perUser: number
    /** `auto`, `same`, `per-owner` or an account. */
    readonly user: string
    readonly stopLevel: 'auto' | 'A' | 'B' | 'C' | 'D'
    /** Of agents that name none; an absent one is not limited. */
    readonly limits: { readonly memory_bytes?: number; readonly cpus?: number; readonly pids?: number; readonly open_files?: number }
  }
  /** Of each agent's output stream. */
  readonly logs: { readonly maxBytes: number; readonly keep: number /** ms; null: for ever. */; readonly maxAgeMs: number | null }
  readonly workers: {
    /** Active ones of a crew, beyond which one that is not to be queued is refused. */
    readonly maxActive: number
    readonly running: number
    readonly runningPerOwner: number
    readonly runningPerNamespace: number
    readonly runningPerAgent: Readonly<Record<string, number>>
    readonly api: 'readme' | 'state'
    /** In 24 hours; null: no bound. */
    readonly ownerBudget: { readonly usd: number | null; readonly tokens: number | null; readonly seconds: number | null }
    /** ms; null: for ever. */
    readonly keptMs: number | null
  }
  /** How many events the journal keeps. */
  readonly events: { readonly keep: number }
  /** Variables that team agents get beside the base: those that 000's README names, from the environment and the project's `.env`. */
  readonly teamEnv: Readonly<Record<string, string>>
  /** What every agent's environment starts from: PATH, HOME, LANG, TZ, TMPDIR. */
  readonly baseEnv: Readonly<Record<string, string>>
  /** What works but should be known; for the log at start. */
  readonly warnings: readonly string[]
}
