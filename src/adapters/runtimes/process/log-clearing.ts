import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AgentRuns, logFiles } from './agent-runs.ts'
import type { Settings } from './options.ts'

/** How long a pump gets to forget what it wrote. */
const PUMP_MS = 2000

/**
 * Forgets what an agent printed until now. Where output may still come, the pump that writes it does so, because it knows what it
 * has written; without one nobody writes.
 */
export async function clearLogs({ clock }: Settings, runs: AgentRuns, agentId: string, poke: (runId: string) => void): Promise<void> {
  const asked: string[] = []
  for (const run of runs.of(agentId)) {
    const dir = runs.logDir(run)
    if (!existsSync(dir)) continue
    if (runs.outputEnded(run)) removeLogs(dir)
    else {
      asked.push(dir)
      writeFileSync(join(dir, 'clear'), '', { mode: 0o600 })
      poke(run.runId)
    }
  }
  const waiting = () => asked.filter((dir) => existsSync(join(dir, 'clear')))
  for (const begun = clock.elapsed(); waiting().length > 0 && clock.elapsed() - begun < PUMP_MS; ) await clock.sleep(5)
  for (const dir of waiting()) {
    removeLogs(dir)
    rmSync(join(dir, 'clear'), { force: true })
  }
}

function removeLogs(dir: string): void {
  for (const file of logFiles(dir)) rmSync(file, { force: true })
}
