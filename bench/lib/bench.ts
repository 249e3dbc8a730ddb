import type { Figure } from './result.ts'

/** One bench: measures Regent beside what it is compared with, in turns, in one run. */
export interface Bench {
  readonly name: string
  /** What is measured, how, and what stands beside it: the text above its table in docs/performance.md. */
  readonly about: string
  /** How often, unless `--n` says otherwise, and of what: for the list of benches. */
  readonly n: number
  readonly of: string
  run(lab: Lab): Promise<readonly Figure[]>
}

/** What a bench works with. Whatever it starts or creates is gone when it has ended, however it ended. */
export interface Lab {
  readonly n: number
  /** A new, empty folder, removed at the end. */
  folder(name: string): string
  /** Called at the end, last given first called; failures are told and keep nothing else from being ended. */
  defer(end: () => unknown): void
  /** Aborted when the bench is interrupted: then it ends at its next step. */
  readonly signal: AbortSignal
  /** What is being done, for whoever waits. */
  say(text: string): void
}
