import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ProcessRuntimeOptions } from '../../src/adapters/runtimes/process/options.ts'
import { createProcessRuntime } from '../../src/adapters/runtimes/process/process-runtime.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { LogLine, LogQuery, RunHandle, RunSpec, Runtime } from '../../src/ports/runtime.ts'
import { temporaryFolder } from './folder.ts'
import { collectingLogger } from './logs.ts'

const agentFile = (name: string): string => join(import.meta.dirname, '../fixtures/agents', name)

/** A home for runs; whatever runs in it when the test ends is killed. */
export function runtimeHome(): string {
  const home = temporaryFolder()
  onTestFinished(async () => {
    const runtime = await runtimeIn(home)
    const end = async (handle: RunHandle) => (await runtime.reattach(handle))?.stop({ signal: 'SIGKILL', graceMs: 0 })
    await Promise.all((await runtime.list()).map(end))
    await runtime.close()
  })
  return home
}

/** The process runtime of this home, as each Regent that lives there opens it. Closed when the test ends. */
export async function openRuntime(home = runtimeHome(), over: Partial<ProcessRuntimeOptions> = {}): Promise<Runtime> {
  const runtime = await runtimeIn(home, over)
  onTestFinished(() => runtime.close())
  return runtime
}

const runtimeIn = (home: string, over: Partial<ProcessRuntimeOptions> = {}): Promise<Runtime> =>
  createProcessRuntime({
    dir: join(home, 'runs'),
    agentsDir: join(home, 'agents'),
    clock: systemClock,
    logger: collectingLogger(),
    ...over,
  })

export function specOf(argv: readonly string[], over: Partial<RunSpec> = {}): RunSpec {
  return {
    runId: randomUUID(),
    agentId: randomUUID(),
    label: 'carla/tester',
    argv,
    cwd: '/tmp',
    env: { PATH: '/usr/bin:/bin' },
    limits: {},
    owner: 'carla',
    record: {},
    needs: { read: [], write: [] },
    reapOnExit: false,
    link: null,
    ...over,
  }
}

/** What an agent of test/fixtures/agents is started with. */
export const agentSpec = (name: string, args: readonly string[] = [], over: Partial<RunSpec> = {}): RunSpec =>
  specOf(['sh', agentFile(name), ...args], over)

export async function linesOf(runtime: Runtime, agentId: string, query: Partial<LogQuery> = {}): Promise<string[]> {
  const lines: string[] = []
  for await (const line of runtime.logs(agentId, { follow: false, ...query })) lines.push(line.text)
  return lines
}

/** Follows an agent's output until the test ends; `lines` grows. */
export function followed(
  runtime: Runtime,
  agentId: string,
  query: Partial<LogQuery> = {},
): { lines: LogLine[]; done: Promise<void>; stop(): void } {
  const lines: LogLine[] = []
  const end = new AbortController()
  const done = (async () => {
    for await (const line of runtime.logs(agentId, { follow: true, ...query }, end.signal)) lines.push(line)
  })()
  onTestFinished(async () => {
    end.abort()
    await done
  })
  return { lines, done, stop: () => end.abort() }
}

/** Whether the process lives; a zombie does not. */
export function lives(pid: number): boolean {
  if (!existsSync(`/proc/${pid}/stat`)) return false
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}
