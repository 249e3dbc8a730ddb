import { createCodingAgents } from '../../src/adapters/coding-agents/coding-agents.ts'
import type { Working } from '../../src/core/workers/working.ts'

export const workerLimits: Working['workerLimits'] = {
  maxActive: 10,
  running: 32,
  runningPerOwner: 32,
  runningPerNamespace: 10,
  runningPerAgent: {},
  ownerBudget: { usd: null, tokens: null, seconds: null },
  keptMs: null,
}

/** What a core needs for workers, where every program is said to be there and files are in memory. */
export function fakeWorkers(
  over: Partial<Working['workerLimits']> = {},
): Pick<Working, 'codingAgents' | 'workerFiles' | 'worktrees' | 'workerLimits' | 'workerSurroundings'> {
  const outputs = new Map<string, string>()
  const agents = createCodingAgents()
  return {
    codingAgents: { get: (name) => agents.get(name), names: agents.names, locate: async (program) => `/usr/bin/${program}` },
    workerFiles: {
      async writeOutput(workerId, text) {
        outputs.set(workerId, text)
        return `/somewhere/logs/worker-${workerId}.json`
      },
      readOutput: async (workerId) => outputs.get(workerId),
      folder: async (workerId) => `/somewhere/work/${workerId}`,
      isFolder: async () => true,
      remove: async (workerId) => void outputs.delete(workerId),
    },
    worktrees: {
      isRepository: async () => false,
      make: async (workerId) => ({ cwd: `/somewhere/worktrees/${workerId}`, branch: `regent/${workerId}` }),
      remove: async () => {},
    },
    workerLimits: { ...workerLimits, ...over },
    workerSurroundings: { base: { PATH: '/usr/bin' }, models: {}, project: '/project', asker: { command: 'asker', args: [] } },
  }
}
