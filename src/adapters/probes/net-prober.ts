import { RegentError } from '../../kernel/errors.ts'
import type { Prober } from '../../ports/prober.ts'

export function createNetProber(): Prober {
  return { probe: () => Promise.reject(new RegentError('NOT_YET', 'probes are not there yet')) }
}
