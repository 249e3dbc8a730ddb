import { readdirSync, readFileSync } from 'node:fs'

/** Pids of the live main processes of each run: those with the run's mark whose parent has it not. */
export function mainProcesses(runIds: ReadonlySet<string>): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const runId = markOf(pid)
    if (runId === undefined || !runIds.has(runId)) continue
    const parent = Number(/^\d+ \(.*\) \S (\d+)/s.exec(read(`/proc/${pid}/stat`))?.[1])
    if (markOf(parent) !== runId) found.set(runId, [...(found.get(runId) ?? []), pid])
  }
  return found
}

const markOf = (pid: number) => /(?:^|\0)REGENT_RUN_ID=([^\0]*)/.exec(read(`/proc/${pid}/environ`))?.[1]

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}

/** Pids of every process of a run. */
export const markedPids = (runId: string): number[] => {
  const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
  return pids.filter((pid) => markOf(pid) === runId)
}
