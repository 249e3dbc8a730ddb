/** Of Regent's process at one moment. */
export interface Size {
  readonly mib: number
  readonly descriptors: number
}

const LEAST_SAMPLES = 12
const GROWTH = 1.1
/** What a garbage collector, or a few connections more, may add beside that. */
const SLACK = { mib: 6, descriptors: 12 } as const

/** In words, when the later half of the samples is larger than the earlier one; the least of each counts, so no passing peak does. */
export function grown(sizes: readonly Size[]): string | undefined {
  if (sizes.length < LEAST_SAMPLES) return undefined
  const middle = Math.floor(sizes.length / 2)
  for (const what of ['mib', 'descriptors'] as const) {
    const least = (some: readonly Size[]) => Math.min(...some.map((size) => size[what]))
    const [before, after] = [least(sizes.slice(0, middle)), least(sizes.slice(middle))]
    if (after > before * GROWTH + SLACK[what]) return `Regent grows: ${what} from ${before.toFixed(0)} to ${after.toFixed(0)}`
  }
  return undefined
}
