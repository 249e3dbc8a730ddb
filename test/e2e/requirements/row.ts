/** Where a promise comes from: a README (R), a habit of the original code (C), our own resolution (S), RELIABILITY (P) or an issue (I). */
export type Source = 'R' | 'C' | 'S' | 'P' | 'I'

/** One promise. `test` may name the one file that proves it; without it any test whose title carries `[id]` will do. */
export type Requirement = {
  readonly id: string
  readonly source: Source
  readonly sentence: string
  readonly issue: number
  readonly status: 'proved' | 'planned'
  readonly test?: string
}

/** A promise that no test proves yet; `issue` is the one that delivers it. Turn the word into `proved` in the change that adds the test. */
export const planned = (issue: number, id: string, source: Source, sentence: string): Requirement => ({
  id,
  source,
  sentence,
  issue,
  status: 'planned',
})

/** A promise that a test with `[id]` in its title proves. */
export const proved = (issue: number, id: string, source: Source, sentence: string, test?: string): Requirement => ({
  id,
  source,
  sentence,
  issue,
  status: 'proved',
  ...(test !== undefined && { test }),
})
