import { RegentError } from '../../../kernel/errors.ts'

/** What starts Regent when the machine, or its user, comes up. */
export interface Service {
  /** Of the whole machine, for root; else of one user. */
  readonly isSystem: boolean
  /** Absolute, as all paths here: `bin/regent`. */
  readonly launcher: string
  readonly home: string
  readonly project: string
  /** Where programs are looked for: Regent's own Node and those of agents. */
  readonly path: string
  readonly userHome: string
}

/** How one kind of machine starts services. */
export interface ServiceKind {
  /** The name of the file that says it. */
  readonly file: string
  readonly text: string
  /** To be typed after the file was written. */
  readonly enable: readonly string[]
  /** Before it is removed. Agents live on. */
  readonly disable: readonly string[]
  readonly notes: readonly string[]
}

/** Throws INVALID for a path that no unit file could hold. */
export function checkPaths({ launcher, home, project, path, userHome }: Service): void {
  for (const value of [launcher, home, project, path, userHome]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
    if (/[\x00-\x1f\x7f]|\\$/.test(value))
      throw new RegentError(
        'INVALID',
        `a service's file cannot name ${JSON.stringify(value)}: a control character, or a backslash at the end`,
      )
  }
}
