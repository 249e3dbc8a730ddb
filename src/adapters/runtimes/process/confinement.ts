import type { RunSpec } from '../../../ports/runtime.ts'
import { findSetsid } from './check.ts'
import type { Level } from './reach.ts'
import type { RunGroups } from './run-groups.ts'

/** What stands around one run beside its own command. */
export interface Confinement {
  /** Files that the agent's own process writes `0` into before it becomes the agent: it joins their cgroups. */
  readonly enter: readonly string[]
  /** Programs with their arguments that become one another, and at last the agent: `setsid --`, `setpriv … --`. */
  readonly before: readonly string[]
  /** When the environment is set: where more than our own rights or another process stands in `before`, only after these programs. */
  readonly environment: 'first' | 'after'
  /** Set in the agent's environment whatever the run says. */
  readonly env: Readonly<Record<string, string>>
  readonly kept: Kept
  /** Takes back what was prepared; harmless when nothing was. */
  release(): void
}

/** What is kept with the records of a run, so that a later Regent finds all of it again. */
export interface Kept {
  readonly level: Level
  readonly groups: RunGroups
  /** The account that it runs under; null: Regent's own. */
  readonly account: { readonly uid: number; readonly gid: number } | null
  readonly cwd: string
}

/** Prepares the surroundings of a run. Called once before its wrapper is asked for; throws START_FAILED with the remedy when it cannot. */
export type Confine = (spec: RunSpec) => Confinement

/** The level of runs that nothing was kept of. */
export const plainLevel: Level = process.platform === 'linux' ? 'C' : 'D'

export const ownSession: Confine = (spec) => ({
  enter: [],
  before: sessionBefore(),
  environment: 'first',
  env: {},
  kept: { level: plainLevel, groups: {}, account: null, cwd: spec.cwd },
  release() {},
})

export function sessionBefore(): string[] {
  const setsid = findSetsid() ?? ''
  return setsid === '' ? [] : [setsid, '--']
}
