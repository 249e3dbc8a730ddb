import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

const writer = join(import.meta.dirname, '../../fixtures/stores/writer.ts')

/** Runs the writer until it has acknowledged `count` more agents, kills it, and answers every id that it acknowledged. */
async function writeAndKill(file: string, count: number): Promise<string[]> {
  const child = spawn(process.execPath, [writer, file], { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const acknowledged: string[] = []
  for await (const line of createInterface({ input: child.stdout })) {
    acknowledged.push(line)
    if (acknowledged.length === count) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return acknowledged
}

describe('kill -9 of the process that writes', () => {
  it('loses no acknowledged row and leaves no half of a transaction, time and again', async () => {
    const file = join(temporaryFolder(), 'regent.db')
    const acknowledged = new Set<string>()
    for (const count of [1, 25, 400, 77]) {
      for (const id of await writeAndKill(file, count)) acknowledged.add(id)
      const store = await openSqliteStore({ file, logger: silentLogger, clock: systemClock })
      const agents = new Set((await store.read.agents.list({})).map((agent) => agent.id))
      const lives = new Set((await store.read.lives.list()).map((life) => life.agentId))
      const events = await store.read.events.list({ after: 0, limit: 1_000_000 })
      await store.close()
      expect([...acknowledged].filter((id) => !agents.has(id))).toEqual([])
      expect(lives).toEqual(agents)
      expect(new Set(events.map((event) => event.agentId))).toEqual(agents)
      expect(events.map((event) => event.number)).toEqual(events.map((_, at) => at + 1))
    }
    expect(acknowledged.size).toBeGreaterThanOrEqual(503)
  })
})
