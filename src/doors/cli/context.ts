export type Env = Readonly<Record<string, string | undefined>>
export type Flags = Readonly<Record<string, string | undefined>>

/** What the process hands to the CLI, so that nothing here reads the environment or knows the configuration's schema. */
export interface CliContext {
  readonly env: Env
  readonly cwd: string
  /** Version of the package. */
  readonly version: () => Promise<string>
  readonly locateHome: (flags: Flags) => Promise<string>
  /** Loaded on first use: only `config`, `doctor` and `serve --help` need it. */
  readonly config: () => Promise<ConfigTools>
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
