import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { randomIds } from '../../src/kernel/ids.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { Models } from '../../src/ports/model.ts'
import type { ToolServers } from '../../src/ports/tool-server.ts'
import { readTeam } from '../../src/runner/definition.ts'
import { Runner, type RunnerOptions } from '../../src/runner/runner.ts'
import { FakeTools } from './fake-tools.ts'

export interface RunnerSetup extends Partial<Omit<RunnerOptions, 'models' | 'toolServers' | 'spec'>> {
  readonly models: Models
  readonly tools?: ToolServers
  readonly subagents?: readonly unknown[]
  readonly config?: Record<string, unknown>
}

/** A clock on which waits of seconds take a hundredth of their time. */
export const quickClock: Clock = {
  ...systemClock,
  after: (ms, work) => systemClock.after(ms / 100, work),
  sleep: (ms, signal) => systemClock.sleep(ms / 100, signal),
}

/** A runner in this process, at work, stopped when the test ends. */
export async function startRunner(setup: RunnerSetup): Promise<Runner> {
  const { models, tools, subagents, config, ...over } = setup
  const spec = readTeam({ name: 'crew', subagents: subagents ?? [], config: config ?? {} }, {})
  const runner = await Runner.start({
    spec,
    agentId: 'agent-1',
    runId: 'run-1',
    start: '1',
    stateDir: null,
    runDir: null,
    terminal: false,
    models: async () => models,
    toolServers: async () => tools ?? new FakeTools({}),
    baseEnv: {},
    channel: { defaults: {}, refused: false, openBroker: async () => Promise.reject(new Error('this test has no broker')) },
    clock: systemClock,
    ids: randomIds,
    logger: silentLogger,
    redact: (text) => text,
    onRefused: () => {},
    ...over,
  })
  onTestFinished(() => runner.stop())
  void runner.work()
  return runner
}

/** Has a runner work on a message; resolves with its id when that work has ended. */
export async function say(runner: Runner, content: string, conversation = 'main'): Promise<string> {
  const id = randomUUID()
  await runner.take({ id, conversation, sender: 'ann', content, metadata: {} })
  await runner.ended(id)
  return id
}
