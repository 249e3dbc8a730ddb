/**
 * Variables of a caller that go with a worker, since a coding agent that works in this terminal should work as one: names, or beginnings
 * that end in `*`. Not all of CLAUDE_*: a Claude Code that calls Regent has variables of its own session there.
 */
export const callerVariables: readonly string[] = [
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_*', 'TZ', 'TMPDIR', 'XDG_*'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE'],
  ...['ANTHROPIC_*', 'CLAUDE_CONFIG_DIR', 'CLAUDE_API_KEY', 'CLAUDE_CODE_OAUTH_TOKEN', 'CLAUDE_CODE_USE_*', 'CLAUDE_CODE_SKIP_*'],
  ...[
    'CLAUDE_CODE_MAX_*',
    'CLAUDE_CODE_DISABLE_*',
    'CLAUDE_CODE_SUBAGENT_MODEL',
    'CLAUDE_CODE_API_KEY_HELPER_TTL_MS',
    'CLAUDE_CODE_CLIENT_*',
  ],
  ...['AWS_*', 'GOOGLE_*', 'VERTEX_*', 'CLOUD_ML_REGION', 'DISABLE_*', 'BASH_DEFAULT_TIMEOUT_MS', 'BASH_MAX_TIMEOUT_MS'],
  ...['MAX_THINKING_TOKENS', 'MCP_TIMEOUT', 'MCP_TOOL_TIMEOUT', 'API_TIMEOUT_MS', 'IS_SANDBOX'],
  ...['CODEX_*', 'OPENAI_*', 'GEMINI_*', 'OPENCODE_*'],
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
