import type { Figure } from './result.ts'
import { median, rounded, summarise } from './stats.ts'

type Kind = Pick<Figure, 'what' | 'of'> & { readonly goal?: number }

/** A figure of durations in ms: their median is the value. */
export function timeFigure(kind: Kind, samples: readonly number[]): Figure {
  const times = summarise(samples)
  return { ...kind, unit: 'ms', value: times.median, times }
}

/** What one round of work came to: how long it all took, and how long each piece. In ms. */
export interface Round {
  readonly ms: number
  readonly times: ArrayLike<number>
}

/** A figure of pieces per second: the median of the rounds is the value, the times are those of all pieces. */
export function rateFigure(kind: Kind, rounds: readonly Round[]): Figure {
  const times = summarise(rounds.flatMap((round) => Array.from(round.times)))
  const value = rounded(median(rounds.map((round) => (round.times.length / round.ms) * 1000)))
  return { ...kind, unit: '/s', value, times }
}

export const sizeFigure = (kind: Kind, { resident, proportional }: { resident: number; proportional: number }): Figure => ({
  ...kind,
  unit: 'MiB',
  value: rounded(resident),
  proportional: rounded(proportional),
})

export const missingFigure = (kind: Kind, unit: Figure['unit'], why: string): Figure => ({ ...kind, unit, value: null, missing: why })
