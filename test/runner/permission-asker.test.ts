import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../helpers/folder.ts'
import { no, PermissionDoor, yes } from '../helpers/permission-door.ts'

const program = join(import.meta.dirname, '../../bin/permission-asker.js')
const input = { file_path: '/tmp/x', content: 'ü' }

interface AskerOptions {
  readonly seconds?: number
  readonly mode?: 'auto' | 'legacy'
}

/** The asker as a CLI starts it; what it answers to a question. */
async function startAsker(runDir: string, { seconds = 20, mode = 'legacy' }: AskerOptions = {}) {
  const env = { PATH: '/usr/bin:/bin', REGENT_RUN_DIR: runDir, REGENT_PERMISSION_TIMEOUT: String(seconds) }
  const client = new Client({ name: 'cli', version: '1' }, { versionNegotiation: { mode } })
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [program], env, stderr: 'ignore' }))
  onTestFinished(() => client.close())
  return {
    client,
    async ask(more: object = {}): Promise<unknown> {
      const question = { tool_name: 'Write', input, tool_use_id: 'toolu_1', ...more }
      const result = await client.callTool({ name: 'request_permission', arguments: question })
      const [content] = result.content as { text: string }[]
      return JSON.parse(content?.text ?? 'null')
    },
  }
}

describe('the permission asker', () => {
  it.each(['legacy', 'auto'] as const)('offers one tool, and brings answers in the words of Claude (%s)', async (mode) => {
    const runDir = temporaryFolder()
    const door = await new PermissionDoor(runDir, (_question, number) => [yes, no('Not in this folder'), no()][number - 1] ?? 500).open()
    const { client, ask } = await startAsker(runDir, { mode })
    const { tools } = await client.listTools()
    expect(tools.map((tool) => tool.name)).toEqual(['request_permission'])
    expect(await ask()).toEqual({ behavior: 'allow', updatedInput: input })
    expect(await ask()).toEqual({ behavior: 'deny', message: 'Not in this folder' })
    expect(await ask({ tool_use_id: undefined, permission_suggestions: [] })).toEqual({
      behavior: 'deny',
      message: 'Permission denied by user',
    })
    expect(door.asked[0]).toMatchObject({ tool: 'Write', input, authorization: 'Bearer run-token' })
    expect(new Set(door.asked.map((question) => question.request_id)).size).toBe(3)
  })

  it('asks the same question again while nobody decides', async () => {
    const runDir = temporaryFolder()
    const door = await new PermissionDoor(runDir, (_question, number) => (number < 4 ? { state: 'pending' } : yes)).open()
    const { ask } = await startAsker(runDir)
    expect(await ask()).toMatchObject({ behavior: 'allow' })
    expect(door.asked).toHaveLength(4)
    expect(new Set(door.asked.map((question) => question.request_id)).size).toBe(1)
  })

  it('outlives a Regent that is killed and comes back elsewhere with another token', async () => {
    const runDir = temporaryFolder()
    const first = await new PermissionDoor(runDir, () => 'silence').open()
    const { ask } = await startAsker(runDir)
    const came = first.question()
    const answer = ask()
    await came
    await first.kill()
    const second = await new PermissionDoor(runDir, (_question, number) => [503, 401, yes][number - 1] ?? 500, 'new-token').open()
    expect(await answer).toMatchObject({ behavior: 'allow' })
    expect(second.asked.at(-1)).toMatchObject({ request_id: first.asked[0]?.request_id, authorization: 'Bearer new-token' })
  })

  it('waits for a Regent that is not there yet', async () => {
    const runDir = temporaryFolder()
    const { client, ask } = await startAsker(runDir)
    const answer = ask()
    await client.ping()
    await new PermissionDoor(runDir, () => yes).open()
    expect(await answer).toMatchObject({ behavior: 'allow' })
  })

  it('refuses when its time is over, and when its question is not understood', async () => {
    const runDir = temporaryFolder()
    const unanswered = { behavior: 'deny', message: 'Permission denied: nobody answered in time' }
    expect(await (await startAsker(runDir, { seconds: 0.3 })).ask()).toEqual(unanswered)
    const door = await new PermissionDoor(runDir, (_question, number) => (number < 3 ? { state: 'pending' } : 422)).open()
    expect(await (await startAsker(runDir)).ask()).toMatchObject({ behavior: 'deny', message: expect.stringContaining('422') })
    expect(door.asked).toHaveLength(3)
  })

  it('answers many questions at once, each its own', async () => {
    const runDir = temporaryFolder()
    await new PermissionDoor(runDir, ({ tool }) => (tool === 'tool7' ? no('seven') : yes)).open()
    const { ask } = await startAsker(runDir)
    const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => ask({ tool_name: `tool${n}` })))
    expect(answers.map((answer) => (answer as { behavior: string }).behavior).indexOf('deny')).toBe(7)
  })

  it('ends with its input, though a question is open', async () => {
    const runDir = temporaryFolder()
    const door = await new PermissionDoor(runDir, () => 'silence').open()
    const child = spawn(process.execPath, [program], { env: { REGENT_RUN_DIR: runDir }, stdio: ['pipe', 'ignore', 'inherit'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const say = (message: object) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
    const clientInfo = { name: 'cli', version: '1' }
    say({ id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo } })
    say({ method: 'notifications/initialized' })
    const came = door.question()
    say({ id: 2, method: 'tools/call', params: { name: 'request_permission', arguments: { tool_name: 'Write', input } } })
    await came
    const ended = once(child, 'exit')
    child.stdin.end()
    await ended
    expect(child.exitCode).toBe(0)
  })

  it('says who may start it', async () => {
    const child = spawn(process.execPath, [program], { env: {}, stdio: ['ignore', 'ignore', 'pipe'] })
    let words = ''
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      words += piece
    })
    const [code] = await once(child, 'close')
    expect({ code, words }).toEqual({ code: 2, words: expect.stringContaining('only Regent can start this') })
  })
})
