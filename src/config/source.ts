/** Variables of an environment, or of a `.env`. */
export type Env = Readonly<Record<string, string | undefined>>

/** What was given on the command line, by option name without dashes. */
export type Flags = Readonly<Record<string, string | undefined>>

export interface ConfigSource {
  readonly flags: Flags
  readonly env: Env
  /** Absolute; relative paths of flags and variables start here. */
  readonly cwd: string
}

export const CONFIG_FILE = 'regent.toml'
export const DOTENV_FILE = '.env'
