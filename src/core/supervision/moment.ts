import { RegentError } from '../../kernel/errors.ts'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Epoch ms of what a person wrote: epoch ms, an ISO 8601 time, or how long ago (`10m`, `1h30m`). Throws INVALID that names `field`. */
export function momentOf(value: number | string, field: string, now: number): number {
  if (typeof value === 'number') return value
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value)
  if (/^(\d+(\.\d+)?(ms|s|m|h|d))+$/.test(value)) {
    const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)]
    return now - parts.reduce((total, [, count, unit]) => total + Number(count) * (units[unit ?? ''] ?? 0), 0)
  }
  const at = /^\d{4}-\d\d-\d\d/.test(value) ? Date.parse(value) : Number.NaN
  if (Number.isFinite(at)) return at
  const message = 'must be epoch ms, an ISO 8601 time such as 2026-01-31T08:00:00Z, or how long ago, such as 10m'
  throw new RegentError('INVALID', `${field} ${message}, not '${value.slice(0, 80)}'`, { fields: [{ path: field, message }] })
}
