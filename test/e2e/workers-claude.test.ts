// The real Claude Code CLI as a worker of a real Regent, against a model server on loopback.
import { execFile } from 'node:child_process'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import type { RaceView, WorkerView } from '../../src/contract/workers.ts'
import { pathWith } from '../helpers/claude-folder.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { type ModelScript, type ModelServer, startModelServer } from '../helpers/model-server.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

const SLOW = 120_000

class Claude {
  readonly regent: Regent
  readonly model: ModelServer
  readonly #env: Readonly<Record<string, string>>

  private constructor(regent: Regent, model: ModelServer, env: Readonly<Record<string, string>>) {
    this.regent = regent
    this.model = model
    this.#env = env
  }

  static async open(program: string, script: ModelScript): Promise<Claude> {
    const model = await startModelServer({ script })
    onTestFinished(() => model.close())
    const folder = temporaryFolder()
    symlinkSync(program, join(folder, 'claude'))
    const env = { PATH: pathWith(folder), HOME: temporaryFolder(), ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-made-up-key' }
    return new Claude(await Regent.start(), model, env)
  }

  async create(prompt: string, more: object = {}): Promise<WorkerView> {
    const { status, body } = await this.regent.post('/api/v1/workers', { worker: { prompt, env: this.#env, ...more } })
    expect([status, body]).toEqual([200, expect.anything()])
    return body as unknown as WorkerView
  }

  async wait(input: object = {}): Promise<WorkerView[]> {
    const { body } = await this.regent.post('/api/v1/workers/wait', { mode: 'first', wait: true, timeout: 60_000, ...input })
    expect(body.outcome).toBe('ended')
    return body.workers as WorkerView[]
  }

  async race(race: object): Promise<RaceView> {
    const { body } = await this.regent.post('/api/v1/races', { race: { ...race, worker: { env: this.#env } } })
    return (await this.regent.fetch(`/api/v1/races/${String(body.id)}?wait=true&timeout=60000`)).body as unknown as RaceView
  }
}

describeWith('claude', 'Claude Code as a worker', ({ url: program }) => {
  it(
    'answers, and goes on in its session with what it knew; cost, tokens and session are events [S4-07] [S4-21] [I5-CLAUDE-01]',
    async () => {
      const claude = await Claude.open(program, ['I am Claude', 'You said hello'])
      const { id } = await claude.create('hello 42')
      const [first] = await claude.wait()
      expect(first).toMatchObject({ id, state: 'completed', result: 'I am Claude', claimed: true, turn: 1 })
      expect(first?.usage).toMatchObject({ input_tokens: 10, output_tokens: 5 })
      await claude.regent.post(`/api/v1/workers/${id}/resume`, { prompt: 'what did I say?' })
      const [second] = await claude.wait()
      expect(second).toMatchObject({ id, state: 'completed', result: 'You said hello', turn: 2, session_id: first?.session_id })
      expect(JSON.stringify(claude.model.requests.at(-1)?.body.messages)).toContain('hello 42')
      const types = (await claude.regent.fetch('/api/v1/events/history?limit=500')).body.events as { type: string; data: object }[]
      const told = types.map(({ type }) => type)
      for (const type of ['worker.session', 'worker.said', 'worker.usage', 'worker.completed', 'worker.claimed'])
        expect(told).toContain(type)
      expect(JSON.stringify(types)).not.toContain('sk-made-up-key')
    },
    SLOW,
  )

  it(
    'races three, and ends those that are too late with all they started [I5-CLAUDE-02]',
    async () => {
      const claude = await Claude.open(program, ({ text: _ }, number) =>
        number === 2 ? { text: 'the second is fast' } : { text: ['slow', 'slow'], pauseMs: 60_000 },
      )
      const race = await claude.race({ prompt: 'who is first?', n: 3 })
      expect(race).toMatchObject({ state: 'decided', winner: { result: 'the second is fast' } })
      const ended = async () => {
        const { workers } = (await claude.regent.fetch(`/api/v1/workers?race=${race.id}`)).body as { workers: WorkerView[] }
        return workers.map(({ state }) => state).sort()
      }
      await until(async () => String(await ended()) === 'cancelled,cancelled,completed', 'the losers are cancelled')
    },
    SLOW,
  )

  it(
    'has a time limit, can be cancelled, and says what its provider refused [S4-09] [S4-10] [I5-CLAUDE-03]',
    async () => {
      const claude = await Claude.open(program, ({ text }) =>
        text.includes('bad')
          ? { status: 400, error: { type: 'invalid_request_error', message: 'no such thing' } }
          : { text: ['…', '…'], pauseMs: 60_000 },
      )
      const late = await claude.create('slow', { timeout: 3 })
      expect((await claude.wait({ workers: [late.id] }))[0]).toMatchObject({
        state: 'failed',
        failure: 'Claude process timed out after 3 seconds',
        error_hint: 'Timed out. Increase timeout parameter.',
      })
      const bad = await claude.create('bad')
      const [refused] = await claude.wait({ workers: [bad.id] })
      expect(refused).toMatchObject({ state: 'failed', failure_kind: 'error' })
      expect(refused?.failure).toContain('no such thing')
      const slow = await claude.create('slow')
      await until(async () => ((await claude.regent.fetch(`/api/v1/workers/${slow.id}`)).body.pid ?? null) !== null, 'it runs')
      const { body } = await claude.regent.post(`/api/v1/workers/${slow.id}/cancel`, { wait: true })
      expect(body).toMatchObject({ state: 'cancelled' })
      const nowhere = { worker: { prompt: 'x', env: { PATH: '/nowhere' } } }
      expect(await claude.regent.post('/api/v1/workers', nowhere)).toMatchObject({ status: 404, body: { detail: 'Claude not in PATH' } })
    },
    SLOW,
  )

  it(
    'outlives a kill -9 of Regent, and its answer waits [I5-SURVIVE-01]',
    async () => {
      const gate = Promise.withResolvers<void>()
      const claude = await Claude.open(program, async () => {
        await gate.promise
        return { text: 'said while nobody listened' }
      })
      const { id } = await claude.create('take your time')
      await until(() => claude.model.requests.length === 1, 'it asks its model')
      await claude.regent.kill()
      gate.resolve()
      await claude.regent.serve()
      expect((await claude.wait())[0]).toMatchObject({ id, state: 'completed', result: 'said while nobody listened' })
    },
    SLOW,
  )

  it.each([true, false])(
    'asks for a permission, over a kill -9 of Regent, and obeys the answer: %s [S4-27] [I5-PERM-01]',
    async (allow) => {
      const target = join(temporaryFolder(), 'out.txt')
      const write = { name: 'Write', input: { file_path: target, content: 'hello' } }
      const claude = await Claude.open(program, (_seen, number) => (number === 1 ? { calls: [write] } : 'Finished'))
      const { id } = await claude.create('write it', { permissions: 'ask' })
      const waiting = { mode: 'first', wait: true, timeout: 60_000, permissions: true, claim: 'later' }
      const { body } = await claude.regent.post('/api/v1/workers/wait', waiting)
      expect(body).toMatchObject({ outcome: 'permission', pending_permissions: [{ worker_id: id, tool: 'Write', input: write.input }] })
      await claude.regent.kill()
      await claude.regent.serve()
      const [question] = (await claude.regent.json<{ id: string; worker_id: string }[]>('approvals')) ?? []
      expect(question).toMatchObject({ worker_id: id, tool: 'Write' })
      const { code } = await claude.regent.run(allow ? 'approve' : 'reject', question?.id ?? '')
      expect(code).toBe(0)
      expect((await claude.wait())[0]).toMatchObject({ id, state: 'completed', result: 'Finished' })
      expect(existsSync(target)).toBe(allow)
      const again = await claude.regent.post(`/api/v1/approvals/${question?.id}/approve`)
      expect(again).toMatchObject({ status: 409 })
    },
    SLOW,
  )

  it(
    'is a client of the worker tools as the README configures it: it creates a worker, which is another one, and waits for it [S4-12] [I5-CLAUDE-04]',
    async () => {
      const tool = (name: string) => `mcp__agent-manager__${name}`
      const model = await startModelServer({
        script: ({ body }) => {
          const said = JSON.stringify(body.messages)
          if (!said.includes('be the boss')) return 'done by a worker'
          if (!said.includes('tool_result'))
            return { calls: [{ id: 'toolu_1', name: tool('create_async_worker'), input: { prompt: 'a sub task' } }] }
          if (!said.includes('toolu_2')) return { calls: [{ id: 'toolu_2', name: tool('wait'), input: { timeout: 60 } }] }
          return 'the boss is satisfied'
        },
      })
      onTestFinished(() => model.close())
      const regent = await Regent.start()
      const folder = temporaryFolder()
      symlinkSync(program, join(folder, 'claude'))
      const server = { command: regent.launcher, args: ['mcp', '--tools', 'workers'], env: { REGENT_HOME: regent.home } }
      const config = JSON.stringify({ mcpServers: { 'agent-manager': server } })
      const allowed = `${tool('create_async_worker')},${tool('wait')}`
      const args = ['-p', 'be the boss', '--mcp-config', config, '--strict-mcp-config', '--allowedTools', allowed]
      const env = { PATH: pathWith(folder), HOME: temporaryFolder(), ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'sk-made-up-key' }
      const child = promisify(execFile)(program, args, { env, cwd: temporaryFolder(), timeout: 60_000 })
      child.child.stdin?.end()
      expect((await child).stdout.trim()).toBe('the boss is satisfied')
      const { workers } = (await regent.fetch('/api/v1/workers')).body as { workers: WorkerView[] }
      expect(workers).toMatchObject([{ state: 'completed', result: 'done by a worker', claimed: true }])
    },
    SLOW,
  )
})
