import type { Probe } from '../contract/policy.ts'

export interface ProbeOutcome {
  readonly ok: boolean
  /** What was seen, in words: `GET http://… answered 503`. */
  readonly message: string
}

/**
 * Stands in every HTTP probe. Regent's own doors refuse what carries it: it comes from Regent's process, so that it would be taken for the
 * local admin, though somebody else named its address.
 */
export const probeHeader = 'x-regent-probe'

/** Looks at agents over the network. Never rejects: whatever goes wrong is an outcome. */
export interface Prober {
  probe(probe: Extract<Probe, { type: 'http' | 'tcp' }>, signal: AbortSignal): Promise<ProbeOutcome>
}
