import { describe, expect, it } from 'vitest'
import { claude } from '../../../src/adapters/coding-agents/claude.ts'
import { NOON, read, recorded, turnOf } from '../../helpers/turns.ts'

const SESSION = '51111111-1111-4111-8111-111111111111'
const words = (over: Parameters<typeof turnOf>[0]) => claude.command(turnOf(over)).argv
const line = (event: object) => `${JSON.stringify({ session_id: SESSION, ...event })}\n`

describe("Claude's command line", () => {
  it('is the one that its users know', () => {
    expect(words({ prompt: 'hi', stream: false })).toEqual(['claude', '-p', 'hi', '--output-format', 'json'])
    expect(words({ prompt: 'more', stream: false, sessionId: SESSION, resume: true })).toEqual([
      'claude',
      '--resume',
      SESSION,
      '-p',
      'more',
      '--output-format',
      'json',
    ])
    expect(words({ prompt: 'hi', sessionId: SESSION }).slice(3)).toEqual([
      '--output-format',
      'stream-json',
      '--verbose',
      '--session-id',
      SESSION,
    ])
  })

  it('carries every wish as one word or more', () => {
    const argv = words({
      model: 'opus',
      allowedTools: ['Read', 'Bash(git log:*)'],
      disallowedTools: ['WebFetch'],
      permissionMode: 'acceptEdits',
      appendSystemPrompt: '- be brief',
      budgetUsd: 0.25,
      args: ['--add-dir', '/data'],
      stream: false,
    })
    expect(argv.slice(5)).toEqual([
      ...['--model', 'opus', '--allowedTools', 'Read', 'Bash(git log:*)', '--disallowedTools', 'WebFetch'],
      ...['--permission-mode', 'acceptEdits', '--append-system-prompt=- be brief', '--max-budget-usd', '0.25', '--add-dir', '/data'],
    ])
    expect(words({ budgetUsd: 0.000_000_25 })).not.toContain('2.5e-7')
    expect(words({ budgetUsd: 100 })).toContain('100')
  })

  it('puts a prompt that begins with a dash behind all options', () => {
    expect(words({ prompt: '--version', stream: false, allowedTools: ['Read'] }).slice(-3)).toEqual(['Read', '--', '--version'])
    expect(() => words({ allowedTools: ['--dangerously-skip-permissions'] })).toThrow(expect.objectContaining({ code: 'INVALID' }))
  })

  it('brings its questions to the asker', () => {
    const permissions = { command: '/usr/bin/node', args: ['asker.js'], env: { REGENT_RUN_DIR: '/run/1' } }
    const argv = words({ permissions })
    const config = JSON.parse(argv[argv.indexOf('--mcp-config') + 1] ?? '')
    expect(config).toEqual({ mcpServers: { regent_permissions: { type: 'stdio', ...permissions } } })
    expect(argv.slice(-2)).toEqual(['--permission-prompt-tool', 'mcp__regent_permissions__request_permission'])
  })

  it('bounds retries, and keeps it from calling home, where the worker says nothing else', () => {
    expect(claude.command(turnOf()).env).toEqual({
      CLAUDE_CODE_MAX_RETRIES: '3',
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      DISABLE_AUTOUPDATER: '1',
    })
  })
})

describe('the document of older versions and of stand-ins', () => {
  it.each([
    ['on one line', '{"result":"42","session_id":"9a"}\n'],
    ['without an end of line', '{"result":"42","session_id":"9a"}'],
    ['over several lines', '{\n  "result": "42",\n  "session_id": "9a"\n}\n'],
    [
      'as a list of events',
      '[\n{"type":"system","subtype":"init","session_id":"9a"},\n{"type":"result","result":"42","session_id":"9a"}\n]\n',
    ],
    ['beside other lines', 'warning: old\n{"result":"42","session_id":"9a"}\n'],
  ])('%s', (_name, printed) => {
    const { outcome, outputs } = read(claude, printed, {}, { stream: false })
    expect(outcome).toMatchObject({ ok: true, text: '42', sessionId: '9a', costUsd: null, tokens: null })
    expect(JSON.parse(outcome.document)).toMatchObject({ result: '42', session_id: '9a' })
    expect(outputs.filter((output) => output.kind === 'result').length).toBeLessThanOrEqual(1)
  })

  it('as the real one prints it', () => {
    const { outcome, outputs } = read(claude, recorded('claude-resumed.jsonl'), {}, { stream: false })
    expect(outputs.map((output) => output.kind)).toEqual(['session', 'result'])
    expect(outcome).toMatchObject({ ok: true, sessionId: '51111111-1111-4111-8111-111111111111', tokens: { input: 10, output: 5 } })
    expect(outcome.document).toBe(recorded('claude-resumed.jsonl').trim())
  })

  it.each([
    ['plain text', 'Hello world!\n'],
    ['nothing', ''],
    ['a document without a session', '{"result":"42"}\n'],
    ['a session that is empty', '{"result":"42","session_id":" "}\n'],
    ['a session that is no text', '{"result":"42","session_id":7}\n'],
  ])('fails in known words for %s', (_name, printed) => {
    const { outcome } = read(claude, printed, {}, { stream: false, sessionId: SESSION })
    expect(outcome.ok).toBe(false)
    expect(outcome.failure).toMatchObject({ kind: 'session', message: expect.stringMatching(/^Invalid or missing session_id: /) })
    expect(outcome.document.trim()).toBe(printed.trim())
  })
})

describe('what Claude tells as it works', () => {
  it('counts a message once, however many blocks it has', () => {
    const { outputs, outcome } = read(claude, recorded('claude-tool.jsonl'))
    expect(outputs.filter((output) => output.kind === 'usage')).toHaveLength(2)
    expect(outcome).toMatchObject({ costUsd: 0.000_35, tokens: { input: 20, output: 10 } })
    expect(JSON.parse(outcome.document).type).toBe('result')
  })

  it('tells a tool its answer belongs to, and that it was refused', () => {
    const { outputs } = read(claude, recorded('claude-tool.jsonl'))
    const result = outputs.find((output) => output.kind === 'tool_result')
    expect(result).toMatchObject({ tool: 'Write', isError: true, text: expect.stringContaining('requested permissions') })
  })

  it('takes the session that was said last', () => {
    const printed = `${line({ type: 'system', subtype: 'init' })}${line({ type: 'result', result: 'x', session_id: 'other' })}`
    const { outputs, outcome } = read(claude, printed)
    expect(outputs.filter((output) => output.kind === 'session').map((output) => output.sessionId)).toEqual([SESSION, 'other'])
    expect(outcome.sessionId).toBe('other')
  })

  it('knows what it said where no result came', () => {
    const said = line({ type: 'assistant', message: { id: 'm', content: [{ type: 'text', text: 'half' }] } })
    expect(read(claude, said, { code: 143 }).outcome).toMatchObject({ ok: false, text: 'half', document: 'half', sessionId: SESSION })
    expect(read(claude, said, { code: 0 }).outcome.failure).toEqual({ kind: 'error', message: 'it ended without a result' })
  })
})

describe('why Claude failed', () => {
  it.each([
    ['a spent budget', recorded('claude-budget.jsonl'), { kind: 'budget', message: 'Reached maximum budget ($0.0001)' }],
    ['no login', line({ type: 'result', is_error: true, result: 'Not logged in · Please run /login' }), { kind: 'error' }],
    ['an interruption that exits with 0', line({ type: 'result', subtype: 'error_during_execution', is_error: true }), { kind: 'error' }],
  ])('%s', (_name, printed, failure) => {
    expect(read(claude, printed, { code: 0 }).outcome).toMatchObject({ ok: false, failure, limit: null })
  })

  it('a session that is not there', () => {
    const stderr = `No conversation found with session ID: ${SESSION}\n`
    expect(read(claude, '', { code: 1, stderr }).outcome.failure).toMatchObject({
      kind: 'session',
      message: expect.stringContaining(SESSION),
    })
  })

  it('a provider that is asked too often, without a time', () => {
    const { outputs, outcome } = read(claude, recorded('claude-429.jsonl'), { code: 1 })
    expect(outcome).toMatchObject({ failure: { kind: 'limit' }, limit: { until: null } })
    expect(outputs.filter((output) => output.kind === 'limit')).toHaveLength(1)
  })

  it('a spent quota, with the time at which it ends', () => {
    const info = { status: 'rejected', resetsAt: NOON / 1000 + 3600, rateLimitType: 'five_hour' }
    const printed = `${line({ type: 'rate_limit_event', rate_limit_info: info })}${line({ type: 'result', is_error: true, api_error_status: 429, result: "You've hit your session limit" })}`
    const { outputs, outcome } = read(claude, printed, { code: 1 })
    expect(outcome.limit).toEqual({ until: NOON + 3_600_000 })
    expect(outputs.filter((output) => output.kind === 'limit')).toEqual([
      { kind: 'limit', until: NOON + 3_600_000, text: 'five hour limit reached' },
    ])
  })

  it('no limit where what is left was only told, or is paid for otherwise', () => {
    for (const info of [
      { status: 'allowed_warning' },
      { status: 'rejected', isUsingOverage: true },
      { status: 'rejected', overageStatus: 'allowed' },
    ])
      expect(read(claude, line({ type: 'rate_limit_event', rate_limit_info: info })).outputs).toEqual([])
  })
})
