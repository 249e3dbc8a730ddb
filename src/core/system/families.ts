export type Labels = Readonly<Record<string, string>>

/** `name`: of a part of a histogram (`…_bucket`); default the family's. */
export interface Sample {
  readonly name?: string
  readonly labels: Labels
  readonly value: number
}

/** One metric in Prometheus' terms. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}
