import type { EventType } from '../../src/contract/events.ts'
import type { Caller } from '../../src/contract/tokens.ts'
import type { WorkerView } from '../../src/contract/workers.ts'
import { admin, CoreWorld, userCalled, type WorldOptions } from './core-world.ts'
import type { FakeRun } from './fake-runtime.ts'
import { until } from './until.ts'

export const ann = userCalled('ann')
export const bob = userCalled('bob')

interface Waited {
  readonly outcome: string
  readonly workers: WorkerView[]
  readonly active: number
  readonly pending_permissions: { readonly request_id: string; readonly worker_id: string; readonly tool: string }[]
  readonly lease: string | null
}

/** A core with the words of somebody who has workers; their CLIs are fakes in the test's hand. */
export class WorkerWorld {
  readonly world: CoreWorld

  constructor(world: CoreWorld) {
    this.world = world
  }

  static async open(options: WorldOptions = {}): Promise<WorkerWorld> {
    return new WorkerWorld(await CoreWorld.open([], options))
  }

  get runtime(): CoreWorld['runtime'] {
    return this.world.runtime
  }

  create(over: object = {}, caller: Caller = ann, key?: string): Promise<WorkerView> {
    return this.world.call('workers.create', { worker: { prompt: 'say hi', ...over } }, caller, key)
  }

  get(id: string, caller: Caller = admin): Promise<WorkerView> {
    return this.world.call('workers.get', { worker: id }, caller)
  }

  wait(over: object = {}, caller: Caller = ann): Promise<Waited> {
    return this.world.call('workers.wait', { timeout: 10_000, ...over }, caller)
  }

  resume(id: string, over: object = {}, caller: Caller = ann, key?: string): Promise<WorkerView> {
    return this.world.call('workers.resume', { worker: id, prompt: 'more', ...over }, caller, key)
  }

  cancel(id: string, over: object = {}, caller: Caller = ann): Promise<WorkerView> {
    return this.world.call('workers.cancel', { worker: id, ...over }, caller)
  }

  /** The live run of a worker, once it is there. */
  async run(id: string): Promise<FakeRun> {
    await this.state(id, 'running')
    await until(() => this.runtime.alive.some(({ spec }) => spec.agentId === id), 'its run')
    return this.runtime.of(id)
  }

  state(id: string, ...states: string[]): Promise<void> {
    return until(async () => states.includes((await this.get(id)).state), `worker ${id} ${states.join(' or ')}`)
  }

  /** As when its CLI prints a line. */
  print(run: FakeRun, line: object | string, stream: 'stdout' | 'stderr' = 'stdout'): void {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    this.runtime.print(run.spec.agentId, text, { runId: run.handle.runId, stream })
  }

  begins(run: FakeRun, session = 'session-1'): void {
    this.print(run, { type: 'system', subtype: 'init', session_id: session })
  }

  says(run: FakeRun, text: string, tokens = { input_tokens: 1, output_tokens: 1 }, session = 'session-1'): void {
    const message = { id: `m-${text}`, content: [{ type: 'text', text }], usage: tokens }
    this.print(run, { type: 'assistant', session_id: session, message })
  }

  /** Its last line, and its end. */
  ends(run: FakeRun, text: string, over: { readonly session?: string; readonly cost?: number; readonly isError?: boolean } = {}): void {
    const { session = 'session-1', cost = 0.5, isError = false } = over
    const usage = { input_tokens: 10, output_tokens: 5 }
    this.print(run, { type: 'result', result: text, session_id: session, total_cost_usd: cost, is_error: isError, usage })
    run.end({ kind: 'exited', code: isError ? 1 : 0, at: this.world.clock.now() })
  }

  /** Waits for the run of a worker and has it answer. */
  async answer(id: string, text = 'hi', over: Parameters<WorkerWorld['ends']>[2] = {}): Promise<void> {
    this.ends(await this.run(id), text, over)
    await this.over(id)
  }

  /** Once those who wait can be told of its end. */
  over(id: string): Promise<void> {
    const told = () => this.wait({ workers: [id], claim: 'no', wait: false }, admin)
    return until(async () => (await told()).outcome === 'ended', `the end of worker ${id}`)
  }

  async exit(id: string, code: number, stderr = ''): Promise<void> {
    const run = await this.run(id)
    if (stderr !== '') this.print(run, stderr, 'stderr')
    run.end({ kind: 'exited', code, at: this.world.clock.now() })
  }

  async events(id: string): Promise<EventType[]> {
    return (await this.world.store.read.events.list({ after: 0, limit: 10_000, agentId: id })).map(({ type }) => type)
  }

  async told(id: string, type: EventType): Promise<Record<string, unknown>[]> {
    return (await this.world.store.read.events.list({ after: 0, limit: 10_000, agentId: id, types: [type] })).map(({ data }) => data)
  }
}
