import type { Probe } from '../contract/policy.ts'

export interface ProbeOutcome {
  readonly ok: boolean
  /** What was seen, in words: `GET http://… answered 503`. */
  readonly message: string
}

/** Looks at agents over the network. Never rejects: whatever goes wrong is an outcome. */
export interface Prober {
  probe(probe: Extract<Probe, { type: 'http' | 'tcp' }>, signal: AbortSignal): Promise<ProbeOutcome>
}
