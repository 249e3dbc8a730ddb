import type { Clock } from '../../kernel/clock.ts'

/** `rate` a second, at most `burst` at once. */
export interface Rate {
  readonly rate: number
  readonly burst: number
}

export interface Buckets {
  /** Takes one from the key's bucket: 0 when there was one, else the ms until there is. */
  take(key: string): number
}

/** Most keys that are remembered; the one longest unused is forgotten first. */
const MAX_KEYS = 10_000

/** Token buckets by key, full at first. */
export function createBuckets({ rate, burst }: Rate, clock: Clock): Buckets {
  const buckets = new Map<string, { tokens: number; at: number }>()
  return {
    take(key) {
      const now = clock.elapsed()
      const known = buckets.get(key)
      const bucket = known ?? { tokens: burst, at: now }
      bucket.tokens = Math.min(burst, bucket.tokens + ((now - bucket.at) / 1000) * rate)
      bucket.at = now
      buckets.delete(key)
      buckets.set(key, bucket)
      if (!known && buckets.size > MAX_KEYS) {
        const oldest = buckets.keys().next().value
        if (oldest !== undefined) buckets.delete(oldest)
      }
      if (bucket.tokens < 1) return Math.ceil(((1 - bucket.tokens) / rate) * 1000)
      bucket.tokens -= 1
      return 0
    },
  }
}
