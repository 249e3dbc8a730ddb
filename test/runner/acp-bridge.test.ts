import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { acp } from '../../src/adapters/coding-agents/acp.ts'
import type { Output, Turn } from '../../src/ports/coding-agents.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { no, PermissionDoor, type PermissionReply, yes } from '../helpers/permission-door.ts'
import { kinds, NOON, turnOf } from '../helpers/turns.ts'

const agent = join(import.meta.dirname, '../fixtures/coding-agents/acp-agent.mjs')

/** A turn as a run would be one; `outputs` fill as it goes. */
function startTurn(over: Partial<Turn>, { cwd = temporaryFolder(), kind = 'load' } = {}) {
  const turn = turnOf({ command: [process.execPath, agent, kind], ...over })
  const { argv, env } = acp.command(turn)
  const [program = '', ...args] = argv
  const child = spawn(program, args, { cwd, env: { PATH: '/usr/bin:/bin', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const reader = acp.reader(turn)
  const outputs: Output[] = []
  const lines = createInterface({ input: child.stdout }).on('line', (line) => outputs.push(...reader.line(line, NOON)))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (piece: string) => {
    stderr += piece
  })
  const ended = (async () => {
    const [code, signal] = await once(child, 'close')
    return { code, signal, stderr, outcome: reader.end({ code, stderr, at: NOON }) }
  })()
  return { child, cwd, lines, outputs, ended }
}

/** A folder with a Regent behind it that gives this answer. */
async function asking(reply: PermissionReply) {
  const runDir = temporaryFolder()
  const door = await new PermissionDoor(runDir, () => reply).open()
  return { door, permissions: { command: 'asker', args: [], env: { REGENT_RUN_DIR: runDir, REGENT_PERMISSION_TIMEOUT: '20' } } }
}

describe('a turn of an agent that speaks the Agent Client Protocol', () => {
  it.each([
    ['yes', yes, '"optionId":"yes"', false],
    ['no', no(), '"optionId":"no"', true],
  ])('brings its questions to Regent: %s', async (_name, reply, chosen, isError) => {
    const { door, permissions } = await asking(reply)
    const { ended, outputs } = startTurn({ prompt: 'tool', permissions })
    const { code, outcome } = await ended
    expect(door.asked).toMatchObject([{ tool: 'write', input: { path: 'out.txt' } }])
    expect(kinds(outputs)).toEqual(['session', 'text', 'tool_call', 'tool_result', 'text', 'result'])
    expect(outputs[1]).toEqual({ kind: 'text', text: 'I will write' })
    expect(outputs[3]).toMatchObject({ tool: 'write', isError })
    expect(outcome).toMatchObject({ ok: true, sessionId: 's-1', costUsd: 0.5, tokens: { input: 10, output: 5 } })
    expect(outcome.text).toContain(chosen)
    expect(code).toBe(0)
  })

  it('refuses what nobody can be asked, and offers no files', async () => {
    expect((await startTurn({ prompt: 'tool' }).ended).outcome.text).toContain('"optionId":"no"')
    expect((await startTurn({ prompt: 'file' }).ended).outcome.text).toBe('error -32601')
  })

  it('goes on in a session, and does not tell its old answers again', async () => {
    const { cwd, ended } = startTurn({ prompt: 'remember' })
    expect((await ended).outcome.text).toBe('turns 1')
    const second = startTurn({ prompt: 'remember', sessionId: 's-1', resume: true }, { cwd })
    expect((await second.ended).outcome).toMatchObject({ ok: true, text: 'turns 2', sessionId: 's-1', costUsd: null })
    expect(kinds(second.outputs)).toEqual(['session', 'text', 'result'])
  })

  it('says that a session cannot be gone on with', async () => {
    for (const kind of ['load', 'none']) {
      const { outcome, code } = await startTurn({ prompt: 'remember', sessionId: 's-9', resume: true }, { kind }).ended
      expect({ code, outcome }).toMatchObject({ code: 1, outcome: { failure: { kind: 'session' } } })
    }
  })

  it('chooses model and mode', async () => {
    const { stderr } = await startTurn({ prompt: 'remember', model: 'big', permissionMode: 'plan' }, { kind: 'model' }).ended
    expect(stderr).toContain('session/set_mode plan\nsession/set_config_option mbig')
  })

  it('tells why it failed', async () => {
    expect((await startTurn({ prompt: 'refuse' }).ended).outcome.failure?.message).toContain('refusal')
    const spent = (await startTurn({ prompt: 'other' }).ended).outcome
    expect(spent).toMatchObject({ failure: { kind: 'limit' }, limit: { until: NOON + 7_200_000 } })
    const dead = await startTurn({ prompt: 'die' }).ended
    expect(dead).toMatchObject({ code: 1, outcome: { failure: { message: 'it ended with 7' } } })
    const missing = await startTurn({ prompt: 'x', command: ['no-such-agent'] }).ended
    expect(missing).toMatchObject({ code: 127, outcome: { failure: { kind: 'missing', message: 'no-such-agent not in PATH' } } })
  })

  it('ends when it is told to, with the agent', async () => {
    const { child, lines, ended } = startTurn({ prompt: 'hang' })
    for await (const line of lines) if (line.includes('begun')) break
    child.kill('SIGTERM')
    expect((await ended).code).toBe(143)
  })
})
