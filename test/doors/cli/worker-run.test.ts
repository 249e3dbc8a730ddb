import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { callerVariables, workerVariables } from '../../../src/contract/worker-variables.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { completedWorker, outputItem, workerView } from '../../helpers/views.ts'

const queued = workerView({ state: 'queued', reason: 'waits for its turn' })

/** A Regent that takes workers, and what it was given. */
async function taking() {
  const regent = await fakeRegent({ 'workers.create': () => queued })
  const given = () => regent.api.requests.at(-1)?.input.worker as Record<string, unknown>
  return { ...regent, given }
}

describe('regent worker run', () => {
  it('gives a task with the place and the variables of the caller, and tells the id', async () => {
    const regent = await taking()
    const cwd = temporaryFolder()
    const env = { ANTHROPIC_API_KEY: 'key', CLAUDE_CONFIG_DIR: '/c', SECRET: 'no', LANG: 'C', http_proxy: 'p', EMPTY: '' }
    const { code, stdout, stderr } = await regent.run(['worker', 'run', 'What', 'is it?'], { cwd, env })
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '3f2c1a9e  queued  waits for its turn\n', stderr: '' })
    expect(regent.given()).toEqual({
      prompt: 'What is it?',
      agent: 'claude',
      cwd,
      namespace: `cli:${cwd}`,
      env: { PATH: process.env.PATH, HOME: cwd, LANG: 'C', ANTHROPIC_API_KEY: 'key', CLAUDE_CONFIG_DIR: '/c', http_proxy: 'p', TZ: 'UTC' },
    })
    expect(regent.api.requests[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('takes everything that a worker can be told', async () => {
    const regent = await taking()
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'a.env'), 'A=1\nB=2\n')
    const words = [
      ...['worker', 'run', 'x', '--agent', 'codex', '--model', 'm', '--cwd', 'sub', '--base', 'v1', '--priority', '-5', '--timeout', '5m'],
      ...['--budget', '2usd', '--budget', '50ktokens', '--budget', '10m', '--permission-mode', 'plan', '--permissions', 'ask'],
      ...['--permission-timeout', '1m', '--allowed-tools', 'Read,Bash(git log:*, git show:*)', '--allowed-tools', 'Edit'],
      ...['--disallowed-tools', 'Write', '--append-system-prompt', 'short', '--label', 'tidy', '--namespace', 'n', '--no-queue'],
      ...['--no-wait-limits', '-e', 'B=3', '-e', 'MINE', '--env-file', 'a.env', '--', '--fast', '-v'],
    ]
    expect((await regent.run(words, { cwd, env: { MINE: 'yes' } })).code).toBe(0)
    const { env, ...given } = regent.given()
    expect(env).toMatchObject({ A: '1', B: '3', MINE: 'yes' })
    expect(given).toEqual({
      ...{ prompt: 'x', agent: 'codex', model: 'm', cwd: join(cwd, 'sub'), worktree: { base: 'v1' }, priority: -5, timeout: 300 },
      ...{ budget: { usd: 2, tokens: 50_000, seconds: 600 }, permission_mode: 'plan', permissions: 'ask', permission_timeout: 60 },
      ...{ allowed_tools: ['Read', 'Bash(git log:*, git show:*)', 'Edit'], disallowed_tools: ['Write'], append_system_prompt: 'short' },
      ...{ label: 'tidy', namespace: 'n', queue: false, wait_limits: false, args: ['--fast', '-v'] },
    })
  })

  it('takes the prompt from stdin or a file', async () => {
    const regent = await taking()
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'task.md'), '# Task\n')
    await regent.run(['worker', 'run', '-'], { stdin: 'from stdin\n' })
    expect(regent.given().prompt).toBe('from stdin\n')
    await regent.run(['worker', 'run', '--worktree', '--file', 'task.md'], { cwd })
    expect(regent.given()).toMatchObject({ prompt: '# Task\n', worktree: true })
  })

  it('runs any program by a template behind --', async () => {
    const regent = await taking()
    await regent.run(['worker', 'run', '--agent', 'command', 'Tidy up', '--', 'sh', '-c', 'echo "$1"', 'sh', '{prompt}'])
    expect(regent.given()).toMatchObject({ prompt: 'Tidy up', agent: 'command', command: ['sh', '-c', 'echo "$1"', 'sh', '{prompt}'] })
  })

  it('prints the worker or its id for programs', async () => {
    const regent = await taking()
    expect(JSON.parse((await regent.run(['worker', 'run', 'x', '-o', 'json'])).stdout)).toEqual(queued)
    expect((await regent.run(['worker', 'run', 'x', '-o', 'name'])).stdout).toBe(`${queued.id}\n`)
  })

  it('waits and prints the result alone on stdout', async () => {
    const regent = await taking()
    const ended = completedWorker({ branch: 'regent/3f2c1a9e' })
    regent.api.on('workers.wait', () => ({ outcome: 'ended', workers: [ended], active: 0, pending_permissions: [], lease: 'l' }))
    regent.api.on('workers.claim', () => ({ claimed: [ended.id] }))
    expect(await regent.run(['worker', 'run', '--wait', 'x'])).toEqual({
      code: 0,
      stdout: '42\n',
      stderr: '3f2c1a9e  completed  12s  $0.03  session session-1\nbranch regent/3f2c1a9e in /home/alice/project\n',
    })
    const asked = regent.api.requests.filter(({ operation }) => operation === 'workers.wait')
    expect(asked.map(({ input }) => input)).toMatchObject([
      { workers: [queued.id], mode: 'all', claim: 'later', wait: true, timeout: 60_000 },
    ])
    expect(JSON.parse((await regent.run(['worker', 'run', '--wait', 'x', '--json'])).stdout)).toEqual({ ...ended, claimed: true })
  })

  it('follows it, and fails with it', async () => {
    const regent = await taking()
    const failed = workerView({ state: 'failed', failure: 'Exit code 1', error_hint: 'Permission denied.', started_at: 1 })
    regent.api.on('workers.get', () => failed)
    regent.api.on('workers.follow', async function* () {
      yield { data: outputItem({ text: 'I look.\x1b[2J' }) }
      yield { data: outputItem({ kind: 'tool_call', text: 'Bash {"command":"npm test"}' }) }
      yield { data: outputItem({ kind: 'tool_result', text: 'no\nsuch', data: { is_error: true } }) }
      yield { data: outputItem({ kind: 'usage', text: '' }) }
    } as never)
    regent.api.on('workers.wait', () => ({ outcome: 'ended', workers: [failed], active: 0, pending_permissions: [], lease: null }))
    expect(await regent.run(['worker', 'run', '-f', 'x'])).toEqual({
      code: 1,
      stdout: 'I look.\n> Bash {"command":"npm test"}\n  no such\n',
      stderr: '3f2c1a9e  failed  0s  Exit code 1\nhint: Permission denied.\n',
    })
    const lines = (await regent.run(['worker', 'run', '-f', '--json', 'x'])).stdout.trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).kind)).toEqual(['text', 'tool_call', 'tool_result', 'usage', 'ended'])
  })

  it('tells what the server refuses', async () => {
    const regent = await taking()
    regent.api.on('workers.create', () => {
      throw new RegentError('NOT_FOUND', 'Claude not in PATH', { hint: 'install claude, or add its folder to PATH' })
    })
    expect(await regent.run(['worker', 'run', 'x'])).toEqual({
      code: 4,
      stdout: '',
      stderr: 'regent: Claude not in PATH\nhint: install claude, or add its folder to PATH\n',
    })
  })

  it.each([
    [[], 'there is no prompt'],
    [['--agent', 'command', '--', 'npm', 'test'], 'there is no prompt'],
    [['x', '--agent', 'command'], 'the agent command needs a program'],
    [['x', '--file', 'y'], 'the prompt is given twice'],
    [['x', '--budget', '2'], "'2' is no budget such as 2usd, 50000tokens or 10m"],
    [['x', '--budget', '$0'], "'$0' is no budget"],
    [['x', '--priority', 'high'], "'high' is not a whole number"],
    [['x', '--permissions', 'all'], "argument 'all' is invalid"],
    [['x', '-e', 'NOT_SET'], 'you have no variable of that name'],
    [['x', '--file'], "option '--file <FILE>' argument missing"],
  ])('refuses %j with 2', async (words, message) => {
    const regent = await taking()
    const { code, stdout, stderr } = await regent.run(['worker', 'run', ...words])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
    expect(regent.api.requests).toEqual([])
  })
})

describe('variables that go with a worker', () => {
  it('are those of the list, by name or by their beginning, and no empty ones', () => {
    const env = {
      PATH: '/bin',
      AWS_REGION: 'eu',
      AWS: 'x',
      PATHS: 'y',
      CLAUDE_CODE_SSE_PORT: '1',
      CLAUDE_CODE_USE_BEDROCK: '1',
      XDG_CONFIG_HOME: '',
      no_proxy: 'z',
      USER: undefined,
    }
    expect(workerVariables(env)).toEqual({ PATH: '/bin', AWS_REGION: 'eu', CLAUDE_CODE_USE_BEDROCK: '1', no_proxy: 'z' })
    expect(callerVariables.filter((name) => !/^[A-Za-z_]+\*?$/.test(name))).toEqual([])
  })
})
