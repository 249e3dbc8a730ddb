const hints: readonly (readonly [RegExp, string])[] = [
  [/timeout|timed out/i, 'Timed out. Increase timeout parameter.'],
  [/permission/i, 'Permission denied. Check pending_permissions and approve.'],
  [/command not found/i, 'Tool not found. Check MCP server config.'],
  [/connection/i, 'Connection failed. Check MCP server is running.'],
]

/** What a caller may do about a failed turn, in the words of the worker tools. */
export function errorHint(stderr: string, code: number | null, message: string): string {
  const text = stderr.trim() || message
  const known = hints.find(([pattern]) => pattern.test(text))
  if (known) return known[1]
  return text === '' ? `Exit code ${code ?? 'unknown'}` : text.slice(0, 150)
}
