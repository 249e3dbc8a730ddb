/** What many measured values come to. */
export interface Summary {
  readonly n: number
  readonly min: number
  readonly median: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** Throws on no samples: a figure without measurements is none. */
export function summarise(samples: Iterable<number>): Summary {
  const sorted = Float64Array.from(samples).sort()
  const at = (share: number): number => rounded(quantile(sorted, share))
  return { n: sorted.length, min: at(0), median: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) }
}

export const median = (samples: Iterable<number>): number => quantile(Float64Array.from(samples).sort(), 0.5)

/** Between two neighbours where the share falls between them. `sorted` ascends. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  const place = (sorted.length - 1) * share
  const below = sorted[Math.floor(place)]
  const above = sorted[Math.ceil(place)]
  if (below === undefined || above === undefined) throw new Error('no samples')
  return below + (above - below) * (place - Math.floor(place))
}

/** To four significant digits: what more there is, is noise. */
export const rounded = (value: number): number => Number(value.toPrecision(4))
