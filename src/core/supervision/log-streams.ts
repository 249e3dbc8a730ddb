import { findAgent } from '../agents/find.ts'
import type { Streams } from '../handling.ts'
import type { LifeOptions } from './life-operations.ts'

export type LogOptions = Pick<LifeOptions, 'store' | 'runtime' | 'supervisor'>

export function logStreams({ store, runtime, supervisor }: LogOptions): Streams<'agents.logs'> {
  return {
    async *'agents.logs'({ agent, tail, follow }, { caller, signal }) {
      const row = await findAgent(store.read, agent, caller)
      const over = new AbortController()
      const ending = AbortSignal.any([signal, over.signal])
      if (follow)
        void supervisor
          .until(row.id, (record) => (record ? undefined : true), { signal: ending, timeoutMs: 2 ** 31 - 1 })
          .then(
            () => over.abort(),
            () => undefined,
          )
      try {
        for await (const line of runtime.logs(row.id, { tail, follow }, ending))
          yield { run_id: line.runId, stream: line.stream, at: line.at, text: line.text }
      } finally {
        over.abort()
      }
    },
  }
}
