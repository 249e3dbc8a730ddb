import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../helpers/folder.ts'
import { markedPids } from '../helpers/marked.ts'
import { type ModelScript, type SeenRequest, startModelServer } from '../helpers/model-server.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

const filesystem = join(createRequire(import.meta.url).resolve('@modelcontextprotocol/server-filesystem/package.json'), '../dist/index.js')

interface Message {
  content: string
  type: string
  final: boolean
  sender: string
}

/** A model that plans one round, lets `reader` read the note, and sums up. */
const thoughtful =
  (note: string): ModelScript =>
  (request) => {
    const all = JSON.stringify(request.body)
    if (all.includes('is_complete'))
      return all.includes('eleven') ? plan([], true) : plan([{ description: 'Read the note', agent: 'reader' }], false)
    if (all.includes('Write the final answer')) return 'The note says eleven.'
    return all.includes('tool_result') || all.includes('"role":"tool"')
      ? 'I read: eleven'
      : { calls: [{ name: 'read_text_file', input: { path: note } }] }
  }
const plan = (tasks: object[], is_complete: boolean) =>
  JSON.stringify({ steps: tasks.length === 0 ? [] : [{ description: 'one step', tasks }], is_complete })

async function team(
  script: (note: string) => ModelScript,
  config: (url: string) => object,
  confirm = true,
  env: (url: string) => Readonly<Record<string, string>> = () => ({}),
): Promise<{ regent: Regent; seen: readonly SeenRequest[]; note: string }> {
  const notes = temporaryFolder()
  const note = join(notes, 'note.txt')
  writeFileSync(note, 'eleven')
  const models = await startModelServer({ script: script(note) })
  onTestFinished(() => models.close())
  const regent = await Regent.start(env(models.url))
  const tool_calls = [{ name: 'read_text_file', seek_confirm: confirm, time_to_confirm: 60_000, default: 'reject' }]
  const json_config = {
    mcp: { servers: { files: { command: process.execPath, args: [filesystem, notes], tool_calls } } },
    ...config(models.url),
  }
  const body = {
    username: 'alice',
    name: 'library',
    subagents: [{ name: 'reader', instruction: 'You read files.', servers: ['files'] }],
    json_config,
  }
  expect((await regent.post('/agents', body)).status).toBe(200)
  expect((await regent.post('/agents/library/start?username=alice')).status).toBe(200)
  return { regent, seen: models.requests, note }
}

describe('a team with a model on the real wire and a real MCP server', () => {
  it.each([
    ['anthropic', (url: string) => ({ anthropic: { api_key: 'k', base_url: url } }), 'anthropic'],
    [
      'an OpenAI-compatible address',
      (url: string) => ({ default_model: 'openai.local-model', openai: { base_url: `${url}/v1` } }),
      'openai',
    ],
  ])('[I2-MOD-01] [I2-MOD-03] [I2-MCP-01] [S0-17] [S0-19] plans, asks, reads and answers over %s', async (_name, config, wire) => {
    const { regent, seen } = await team(thoughtful, config)
    const sending = regent.json<Message>('send', 'library', 'What does the note say?', '--wait')
    let ids: { id: string }[] = []
    await until(async () => {
      ids = await regent.json<{ id: string }[]>('approvals')
      return ids.length === 1
    }, 'the question')
    await regent.run('approve', ids[0]?.id ?? '')
    expect((await sending).content).toBe('The note says eleven.')
    expect(new Set(seen.map((request) => request.wire))).toEqual(new Set([wire]))
    const planners = seen.filter((request) => JSON.stringify(request.body).includes('is_complete'))
    expect(planners[1]?.text).toContain('eleven')
    expect(JSON.stringify(planners[0]?.body)).toContain('You read files.')
    const [row] = await regent.json<{ usage: { model_calls: number; output_tokens: number } }[]>('ps')
    expect(row?.usage.model_calls).toBe(seen.length)
    expect(row?.usage.output_tokens).toBeGreaterThan(0)
    const { messages } = (await regent.fetch('/api/v1/agents/library/messages')).body as { messages: Message[] }
    expect(messages.map((message) => message.type)).toEqual(['user', 'tool_call', 'tool_result', 'assistant', 'assistant'])
  })

  it('[S0-26] takes the key from CLAUDE_API_KEY where json_config has an empty one', async () => {
    const env = (url: string) => ({ CLAUDE_API_KEY: 'k-from-env', ANTHROPIC_BASE_URL: url })
    const { regent, seen } = await team(thoughtful, () => ({ anthropic: { api_key: '' } }), false, env)
    expect((await regent.json<Message>('send', 'library', 'What does the note say?', '--wait')).content).toBe('The note says eleven.')
    expect(new Set(seen.map((request) => request.headers['x-api-key']))).toEqual(new Set(['k-from-env']))
  })

  it('[I2-MOD-02] says what is wrong with a key that is refused, and goes on with the next message', async () => {
    let right = false
    const refusing = (): ModelScript => (request, number) =>
      right
        ? (thoughtful('') as (r: SeenRequest, n: number) => string)(request, number)
        : { status: 401, error: { type: 'authentication_error', message: 'invalid x-api-key' } }
    const { regent } = await team(refusing, (url) => ({ anthropic: { api_key: 'k-wrong-1', base_url: url } }), false)
    const { code, stderr } = await regent.run('send', 'library', 'hi', '--wait')
    expect(code).not.toBe(0)
    expect(stderr).toContain('invalid x-api-key')
    expect(stderr).not.toContain('k-wrong-1')
    right = true
    expect((await regent.json<{ state: string }[]>('ps'))[0]?.state).toBe('RUNNING')
    const answered = await regent.run('send', 'library', 'again', '--wait')
    expect(answered.code).toBe(0)
  })

  it('[I2-MCP-02] leaves no MCP child behind, also when the runner is killed -9', async () => {
    const { regent } = await team(thoughtful, (url) => ({ anthropic: { api_key: 'k', base_url: url } }))
    const marker = (await regent.json<{ run_id: string }[]>('ps'))[0]?.run_id ?? ''
    await until(() => markedPids(marker).length >= 2, 'the runner and its MCP server')
    const [row] = await regent.json<{ pid: number }[]>('ps')
    process.kill(row?.pid ?? 0, 'SIGKILL')
    await until(() => markedPids(marker).length === 0, 'the end of both')
    await until(
      async () =>
        (await regent.json<{ restarts: number; state: string }[]>('ps')).some((one) => one.restarts === 1 && one.state === 'RUNNING'),
      'the restart',
    )
    await regent.run('stop', 'library')
    const stopped = (await regent.json<{ run_id: string }[]>('ps'))[0]?.run_id ?? ''
    expect(markedPids(stopped)).toEqual([])
  })
})
