import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import type { RunSpec } from '../../src/ports/runtime.ts'
import { until } from './until.ts'

export interface Manager {
  readonly process: ChildProcess
  readonly lines: string[]
  /** `kill -9`, and waits until it is gone. */
  kill(): Promise<void>
  /** Waits for a line that begins like this. */
  says(start: string, deadlineMs?: number): Promise<string>
}

/** A real process that starts runs as Regent does (test/fixtures/managers/starter.ts); `shell` may prepare limits before it. */
export function startManager(
  home: string,
  specs: readonly RunSpec[],
  over: { one?: boolean; starve?: boolean; shell?: string } = {},
): Manager {
  const program = join(import.meta.dirname, '../fixtures/managers/starter.ts')
  const task = JSON.stringify({ home, specs, one: over.one ?? false, starve: over.starve ?? false })
  // One argument may not hold a thousand specs.
  const file = join(home, `task-${randomUUID()}.json`)
  writeFileSync(file, task, { mode: 0o600 })
  const child = spawn('/bin/sh', ['-c', `${over.shell ?? ''}\nexec "$@"`, 'sh', process.execPath, program, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const gone = once(child, 'exit')
  const kill = async () => {
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(kill)
  return {
    process: child,
    lines,
    kill,
    async says(start, deadlineMs = 20_000) {
      await until(() => child.exitCode !== null || lines.some((line) => line.startsWith(start)), `the manager to say ${start}`, deadlineMs)
      const line = lines.find((one) => one.startsWith(start))
      if (line === undefined) throw new Error(`the manager ended without saying ${start}: ${lines.join(' / ')}`)
      return line
    },
  }
}
