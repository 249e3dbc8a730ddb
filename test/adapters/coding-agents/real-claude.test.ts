// The real Claude Code CLI against a model server on loopback: what the dialect writes is understood, and what it prints is read.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished } from 'vitest'
import { claude } from '../../../src/adapters/coding-agents/claude.ts'
import type { Output, Turn } from '../../../src/ports/coding-agents.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { type ModelScript, type ModelServer, type SeenRequest, startModelServer } from '../../helpers/model-server.ts'
import { no, PermissionDoor, yes } from '../../helpers/permission-door.ts'
import { describeWith } from '../../helpers/services.ts'
import { kinds, turnOf } from '../../helpers/turns.ts'

const SESSION = '7d0e5a3e-1d4c-4a53-8f5e-0b5d5a3c1f2e'
const SLOW = 60_000
const asker = join(import.meta.dirname, '../../../bin/permission-asker.js')

interface Place {
  readonly home: string
  readonly cwd: string
  readonly model: ModelServer
  readonly env?: Readonly<Record<string, string>>
}

async function placeWith(script: ModelScript): Promise<Place> {
  const model = await startModelServer({ script })
  onTestFinished(() => model.close())
  const home = temporaryFolder()
  mkdirSync(join(home, 'project'))
  return { home, cwd: join(home, 'project'), model }
}

/** A turn as a run would be one; `outputs` fill as it goes. */
function startTurn(program: string, { home, cwd, model, env = {} }: Place, over: Partial<Turn>) {
  const turn = turnOf(over)
  const { argv, env: defaults } = claude.command(turn)
  const own = { PATH: '/usr/bin:/bin', HOME: home, ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: 'made-up' }
  const child = spawn(program, argv.slice(1), { cwd, env: { ...defaults, ...own, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const reader = claude.reader(turn)
  const outputs: Output[] = []
  createInterface({ input: child.stdout }).on('line', (line) => outputs.push(...reader.line(line, Date.now())))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece
  })
  const ended = (async () => {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    const seen = signal === 'SIGTERM' ? 143 : code
    return { code: seen, outcome: reader.end({ code: seen, stderr, at: Date.now() }) }
  })()
  return { child, outputs, ended }
}

const texts = ({ body }: SeenRequest) => JSON.stringify(body.messages)

describeWith('claude', 'the real Claude Code CLI', ({ url: program }) => {
  it(
    'works a turn, and goes on in its session with what it knew',
    async () => {
      const place = await placeWith(['I am Claude', 'You said hello'])
      const first = startTurn(program, place, { prompt: 'hello 42', sessionId: SESSION })
      expect((await first.ended).outcome).toMatchObject({
        ok: true,
        text: 'I am Claude',
        sessionId: SESSION,
        tokens: { input: 10, output: 5 },
      })
      expect(kinds(first.outputs)).toEqual(['session', 'text', 'usage', 'result'])
      const second = startTurn(program, place, { prompt: '--what did I say?', sessionId: SESSION, resume: true, stream: false })
      const { outcome } = await second.ended
      expect(outcome).toMatchObject({ ok: true, text: 'You said hello', sessionId: SESSION, costUsd: expect.any(Number) })
      expect(JSON.parse(outcome.document)).toMatchObject({ result: 'You said hello', session_id: SESSION })
      const last = texts(place.model.requests[1] as SeenRequest)
      for (const words of ['hello 42', 'I am Claude', '--what did I say?']) expect(last).toContain(words)
    },
    SLOW,
  )

  it(
    'takes every wish',
    async () => {
      const place = await placeWith(['Done'])
      const wishes = {
        allowedTools: ['Read', 'Bash(git log:*)'],
        disallowedTools: ['WebFetch'],
        permissionMode: 'acceptEdits',
        budgetUsd: 5,
      }
      const { ended } = startTurn(program, place, {
        ...wishes,
        model: 'claude-sonnet-4-5',
        appendSystemPrompt: '- speak Latin',
        stream: false,
      })
      expect((await ended).outcome).toMatchObject({ ok: true, text: 'Done' })
      const [request] = place.model.requests
      expect(request?.model).toBe('claude-sonnet-4-5')
      expect(JSON.stringify(request?.body.system)).toContain('- speak Latin')
      expect(JSON.stringify(request?.body.tools)).not.toContain('"name":"WebFetch"')
    },
    SLOW,
  )

  it.each([
    [400, { kind: 'error', message: 'API Error: 400 no' }, null],
    [401, { kind: 'error', message: expect.stringContaining('401') }, null],
    [429, { kind: 'limit', message: expect.stringContaining('429') }, { until: null }],
  ])(
    'fails with %i in bounded time',
    async (status, failure, limit) => {
      const place = await placeWith(() => ({ status, error: { type: 'some_error', message: 'no' } }))
      const { ended } = startTurn(program, { ...place, env: { CLAUDE_CODE_MAX_RETRIES: '1' } }, { prompt: 'x' })
      const { code, outcome } = await ended
      expect({ code, outcome }).toMatchObject({ code: 1, outcome: { ok: false, failure, limit } })
    },
    SLOW,
  )

  it(
    'says that it is not logged in, that its budget is spent, and that a session is not there',
    async () => {
      const place = await placeWith(['one', 'two'])
      const stranger = startTurn(program, { ...place, env: { ANTHROPIC_API_KEY: '' } }, { prompt: 'x' })
      expect((await stranger.ended).outcome.failure?.message).toContain('Not logged in')
      const poor = startTurn(program, place, { prompt: 'x', budgetUsd: 0.000_001 })
      expect((await poor.ended).outcome).toMatchObject({ failure: { kind: 'budget' }, limit: null })
      const lost = startTurn(program, place, { prompt: 'x', sessionId: SESSION, resume: true })
      expect((await lost.ended).outcome.failure).toMatchObject({
        kind: 'session',
        message: expect.stringContaining('No conversation found'),
      })
    },
    SLOW,
  )

  it(
    'ends when it is told to, and goes on later',
    async () => {
      const asked = Promise.withResolvers<void>()
      const place = await placeWith((_seen, number) => {
        if (number > 1) return 'Back again'
        asked.resolve()
        return { text: ['a', 'b'], break: { after: 1, how: 'hang' } }
      })
      const { child, ended } = startTurn(program, place, { prompt: 'work long', sessionId: SESSION })
      await asked.promise
      child.kill('SIGTERM')
      expect(await ended).toMatchObject({ code: 143, outcome: { ok: false, sessionId: SESSION, failure: { kind: 'exit' } } })
      const later = startTurn(program, place, { prompt: 'go on', sessionId: SESSION, resume: true })
      expect((await later.ended).outcome).toMatchObject({ ok: true, text: 'Back again' })
      expect(texts(place.model.requests[1] as SeenRequest)).toContain('work long')
    },
    SLOW,
  )

  it.each([
    ['yes', yes, true],
    ['no', no('Not today'), false],
  ])(
    'asks for permissions, and obeys: %s',
    async (_name, reply, written) => {
      const runDir = temporaryFolder()
      const door = await new PermissionDoor(runDir, () => reply).open()
      const place = await placeWith((_seen, number) => (number === 1 ? { calls: [{ name: 'Write', input: target }] } : 'Finished'))
      const target = { file_path: join(place.cwd, 'out.txt'), content: 'hello' }
      const env = { REGENT_RUN_DIR: runDir, REGENT_PERMISSION_TIMEOUT: '20', PATH: `${dirname(process.execPath)}:/usr/bin:/bin` }
      const permissions = { command: process.execPath, args: [asker], env }
      const { ended, outputs } = startTurn(program, place, { prompt: 'write it', permissions })
      expect((await ended).outcome).toMatchObject({ ok: true, text: 'Finished' })
      expect(door.asked).toMatchObject([{ tool: 'Write', input: target }])
      expect(existsSync(target.file_path)).toBe(written)
      expect(outputs.find((output) => output.kind === 'tool_result')).toMatchObject({ tool: 'Write', isError: !written })
      if (!written) expect(texts(place.model.requests[1] as SeenRequest)).toContain('Not today')
    },
    SLOW,
  )
})
