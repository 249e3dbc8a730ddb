/** A command as a person types it into a shell. */
export interface Call {
  readonly words: readonly [string, ...string[]]
  readonly env: Readonly<Record<string, string>>
  /** How often this text shows at least in what it prints: only a call that did its work is measured. */
  readonly shows?: { readonly text: string; readonly times: number }
}
