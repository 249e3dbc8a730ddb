import type { RunSpec } from '../../../ports/runtime.ts'
import { type Kept, plainLevel } from './kept.ts'
import { programIn } from './programs.ts'
import type { Setting } from './run-groups.ts'

/** What stands around one run beside its own command. */
export interface Confinement {
  /** What the wrapper writes first, so that the groups hold to it. */
  readonly settings: readonly Setting[]
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

/** Prepares the surroundings of a run. Called once before its wrapper is asked for; throws START_FAILED with the remedy when it cannot. */
export type Confine = (spec: RunSpec) => Confinement

export const ownSession: Confine = (spec) => ({
  settings: [],
  enter: [],
  before: sessionBefore(),
  environment: 'first',
  env: {},
  kept: { level: plainLevel, groups: {}, account: null, cwd: spec.cwd },
  release() {},
})

/** Empty where there is no setsid, as on macOS. */
export function sessionBefore(): string[] {
  const setsid = programIn('setsid')
  return setsid === undefined ? [] : [setsid, '--']
}
