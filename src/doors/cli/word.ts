const valueFlags = new Set(['--home', '--project', '--url', '--token-file'])

/** Where the verb stands: the first word that is neither an option nor the value of one; -1 where there is none. */
export function verbIndex(argv: readonly string[]): number {
  return argv.findIndex((arg, at) => !arg.startsWith('-') && !valueFlags.has(argv[at - 1] ?? ''))
}
