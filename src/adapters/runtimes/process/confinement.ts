import type { RunSpec } from '../../../ports/runtime.ts'
import { findSetsid } from './check.ts'

/** What stands around one run beside its own command. */
export interface Confinement {
  /** Files that the agent's own process writes `0` into before it becomes the agent: it joins their cgroups. */
  readonly enter: readonly string[]
  /** Programs with their arguments that become one another, and at last the agent: `setsid --`, `setpriv … --`. */
  readonly before: readonly string[]
  /** Takes back what was prepared; harmless when nothing was. */
  release(): void
}

/** Prepares the surroundings of a run. Called once before its wrapper is asked for; throws START_FAILED with the remedy when it cannot. */
export type Confine = (spec: RunSpec) => Confinement

export const ownSession: Confine = () => {
  const setsid = findSetsid() ?? ''
  return { enter: [], before: setsid === '' ? [] : [setsid, '--'], release() {} }
}
