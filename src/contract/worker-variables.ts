/**
 * Variables of a caller that go with a worker, since a coding agent that works in this terminal should work as one: names, or beginnings
 * that end in `*`.
 */
export const callerVariables: readonly string[] = [
  'PATH',
  'HOME',
  'LANG',
  'USER',
  'TMPDIR',
  'ANTHROPIC_*',
  'CLAUDE_*',
  'CODEX_*',
  'OPENAI_*',
  'GEMINI_*',
  'GOOGLE_*',
  'AWS_*',
  'OPENCODE_*',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'XDG_*',
]

const names = new Set(callerVariables.filter((name) => !name.endsWith('*')))
const beginnings = callerVariables.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1))

/** What of an environment goes with a worker. */
export function workerVariables(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const wanted = (name: string): boolean => names.has(name) || beginnings.some((beginning) => name.startsWith(beginning))
  return Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '' && wanted(entry[0])),
  )
}
