/** Keys whose values nobody is shown again: not in a log, not in an error that quotes its input. */
const secretKey = /(?:api_?key|token|secret|password|passwd|authorization|credential)/i
/** Keys that hold maps in which any value may be a secret. */
const secretMap = /^(?:env|headers|auth)$/i
const spoken =
  /\b(Bearer\s+)[\w.~+/=-]+|\b(sk-)[\w-]{8,}|("?[\w-]*(?:api_?key|token|secret|password|authorization)[\w-]*"?\s*[:=]\s*"?)[^\s",}&]+/gi

/** A longer text is cut: the expression above takes time with the square of a word's length. */
const LONGEST = 4000

/** A text as a log may hold it: what looks like a credential becomes `***`. */
export function withoutSecrets(text: string): string {
  return text.slice(0, LONGEST).replace(spoken, (_, bearer?: string, key?: string, field?: string) => `${bearer ?? key ?? field ?? ''}***`)
}

/** A copy of a JSON value with `"***"` for every value that is or may be a secret. */
export function maskSecrets(value: unknown, secret = false): unknown {
  if (Array.isArray(value)) return value.map((inner) => maskSecrets(inner, secret))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, maskSecrets(inner, secret || secretMap.test(key) || secretKey.test(key))]),
    )
  return secret && value !== null && value !== '' ? '***' : value
}
