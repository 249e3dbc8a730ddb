import type { Check } from '../../contract/system.ts'
import type { TakenUp } from '../../core/system/take-up.ts'
import type { BackupOptions } from '../../ports/archive.ts'

export type Env = Readonly<Record<string, string | undefined>>
export type Flags = Readonly<Record<string, string | undefined>>

/** What the process hands to the CLI, so that nothing here reads the environment or knows the configuration's schema. */
export interface CliContext {
  readonly env: Env
  readonly cwd: string
  /** What `regent` is: the absolute path of `bin/regent`. */
  readonly launcher: string
  /** Version of the package. */
  readonly version: () => Promise<string>
  readonly locateHome: (flags: Flags) => Promise<string>
  /** Loaded on first use: only `config`, `doctor` and `serve --help` need it. */
  readonly config: () => Promise<ConfigTools>
  /** Serves MCP on stdin and stdout until they are closed. */
  readonly mcp: (flags: Flags, options: McpServing) => Promise<void>
  /** What works on a home without a server. Throws INVALID for a configuration that is wrong. */
  readonly offline: (flags: Flags) => Promise<OfflineTools>
}

export interface McpServing {
  readonly tools: 'workers' | 'agents' | 'all'
  readonly namespace: string
  readonly api?: 'readme' | 'state'
}

/** Each throws ILLEGAL_STATE, naming it, while a Regent serves the home. */
export interface OfflineTools {
  readonly home: string
  /** Files are absolute. */
  backup(file: string, options: BackupOptions): Promise<{ readonly bytes: number }>
  /** `force` keeps a home that is there aside. */
  restore(file: string, force: boolean): Promise<RestoreReport>
  recover(): Promise<RecoverReport>
  /** Copies the database to another one, which must hold nothing; `tell` hears of rows. */
  migrate(to: string, tell: (table: string, rows: number) => void): Promise<MigrateReport>
  /** How database and brokers are, as far as it can be seen while no Regent serves the home. Never rejects. */
  checkServers(): Promise<readonly Check[]>
}

export interface MigrateReport {
  /** Where it was and is now, without secrets. */
  readonly from: string
  readonly to: string
  /** What the configuration is to name; holds the password. */
  readonly url: string
  /** Rows, by table. */
  readonly tables: Readonly<Record<string, number>>
}

export interface RestoreReport extends TakenUp {
  readonly manifest: { readonly regent: string; readonly at: number; readonly files: readonly unknown[] }
  readonly aside: string | null
}

export interface RecoverReport extends TakenUp {
  readonly found: { readonly state: 'sound' | 'missing' } | { readonly state: 'damaged'; readonly aside: string; readonly problem: string }
  /** Ids of agents that left secrets or a journal and no run, so that nobody knows what they were. */
  readonly traces: readonly string[]
}

export interface ShownSetting {
  readonly path: string
  readonly description: string
  readonly env: readonly string[]
  readonly flag?: string
  readonly secret?: true
  readonly written: unknown
  readonly origin: string
}

export interface ConfigTools {
  /** Throws INVALID, with places, for a configuration that is wrong. */
  inspect(flags: Flags): { readonly settings: readonly ShownSetting[]; readonly config: DoctorConfig }
  readonly settings: readonly Omit<ShownSetting, 'written' | 'origin'>[]
  jsonSchema(): object
}

/** The part of the configuration that `doctor` looks at. */
export interface DoctorConfig {
  readonly home: string
  readonly project: string
  readonly host: string
  readonly port: number
  readonly orchestratorPort: number | 'off'
  readonly models: {
    readonly anthropicKey: string | undefined
    readonly openaiKey: string | undefined
    readonly anthropicBaseUrl: string | undefined
    readonly openaiBaseUrl: string | undefined
    readonly default: string | undefined
  }
  readonly warnings: readonly string[]
}
