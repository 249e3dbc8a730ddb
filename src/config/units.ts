const durations: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const sizes: Record<string, number> = {
  B: 1,
  kB: 1e3,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** `"1h30m"`, `"250ms"` in ms; undefined for anything else. A number without a unit is seconds. */
export function parseDuration(text: string): number | undefined {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text) * 1000
  if (!/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(text)) return undefined
  let total = 0
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) total += Number(value) * (durations[unit ?? ''] ?? 0)
  return total
}

/** `"1GiB"`, `"512MiB"`, `"100kB"`, or bytes, in bytes; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const [, value, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text) ?? []
  const factor = sizes[unit === '' ? 'B' : (unit ?? '')]
  return value === undefined || factor === undefined ? undefined : Math.round(Number(value) * factor)
}
