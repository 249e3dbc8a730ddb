import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { verbOf, verbs } from '../../../src/doors/cli/verbs.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent, runCli } from '../../helpers/run-cli.ts'
import { agentView } from '../../helpers/views.ts'

describe('regent, as it is used', () => {
  it('shows all commands in its help, and exits with 0', async () => {
    const { code, stdout } = await runCli(['--help'])
    expect(code).toBe(0)
    for (const { name, summary } of verbs) expect(stdout).toMatch(new RegExp(`^  ${name}[| ].*${summary}`, 'm'))
    expect(await runCli([])).toMatchObject({ code: 0, stdout })
  })

  it('explains every command', async () => {
    const helps = await Promise.all(verbs.map(async ({ name }) => [name, await runCli([name, '--help'])] as const))
    for (const [name, { code, stdout }] of helps) {
      expect([name, code]).toEqual([name, 0])
      expect(stdout).toContain(`Usage: regent ${name}`)
    }
    expect((await runCli(['help', 'ls'])).stdout).toBe(helps.find(([name]) => name === 'ps')?.[1].stdout)
  })

  it('does what its page says: every command there exists, and every command is there', () => {
    const page = readFileSync(new URL('../../../docs/cli.md', import.meta.url), 'utf8')
    const used = [...page.matchAll(/(?<=^|[`|( ]|&& |\| )regent ([a-z][a-z-]*)/gm)].map(([, word]) => word ?? '')
    expect(used.filter((word) => !['help', 'ready'].includes(word) && !verbOf(word))).toEqual([])
    expect(verbs.filter(({ name }) => !used.includes(name)).map(({ name }) => name)).toEqual(['docs', 'version'])
  })

  it.each([
    [['pss'], "unknown command 'pss'\n(Did you mean ps?)"],
    [['help', 'strat'], "unknown command 'strat'\n(Did you mean start?)"],
    [['ps', '--jsn'], "unknown option '--jsn'\n(Did you mean --json?)"],
    [['start'], "missing required argument 'AGENT'"],
    [['ps', '-o', 'xml'], "argument 'xml' is invalid. Allowed choices are table, wide, json, yaml, name."],
    [['stop', 'x', '--timeout', 'soon'], "'soon' is no duration such as 30s or 5m"],
    [['create'], "required option '-f, --file <FILE>' not specified"],
    [['serve', '--prot', '1'], "unknown option '--prot'\n(Did you mean --port?)"],
    [['serve', 'now'], "regent serve takes options only, not 'now'"],
    [['token', 'create', 'x', '--role', 'king'], '`regent token create --help` shows how it is used'],
    [['config', 'check', '--jsn'], '`regent config check --help` shows how it is used'],
  ])('answers %j with 2 and what was meant', async (args, message) => {
    const { code, stdout, stderr } = await runCli(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(message)
  })

  it('shows its version with and without a server', async () => {
    const regent = await fakeRegent()
    expect((await runCli(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
    expect((await runCli(['version'])).stdout).toMatch(/^regent \d+\.\d+\.\d+ \(Node\.js .*\)\nno server is running\n$/)
    regent.api.on('system.status', () => ({ version: '9.9.9' }))
    expect(JSON.parse((await regent.run(['version', '--json'])).stdout)).toMatchObject({ server: '9.9.9' })
  })

  it('[I2-CLI-13] says how to start a server where none runs, with 1', async () => {
    const { code, stdout, stderr } = await runCli(['start', 'x'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^regent: no Regent is running for .*\nhint: start one with `regent serve` \(in a checkout also `npm start`\)/)
    const elsewhere = await runCli(['start', 'x', '--url', 'http://127.0.0.1:1'])
    expect(elsewhere.stderr).toContain('no Regent answers at http://127.0.0.1:1 (nothing listens there)')
  })

  it('tells what the server refused: message, fields, hint', async () => {
    const regent = await fakeRegent({
      'agents.start': () => {
        throw new RegentError('FORBIDDEN', 'this needs the role user', {
          hint: 'ask an admin',
          fields: [{ path: 'role', message: 'is read-only' }],
        })
      },
    })
    const { code, stderr } = await regent.run(['start', 'x'])
    expect(code).toBe(1)
    expect(stderr).toBe('regent: this needs the role user\n  role: is read-only\nhint: ask an admin\n')
  })

  it('ends quietly when its reader goes away', async () => {
    const many = Array.from({ length: 5000 }, (_, index) => agentView({ id: `${index}`, name: `agent-${index}` }))
    const regent = await fakeRegent({ 'agents.list': () => ({ agents: many, next_cursor: null }) })
    const launcher = `${import.meta.dirname}/../../../bin/regent`
    const child = spawn('sh', ['-c', '{ "$0" ps --json; echo "code $?" >&2; } | head -1', launcher], {
      env: { PATH: process.env.PATH ?? '', REGENT_HOME: regent.home },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const [printed, told] = await Promise.all([text(child.stdout), text(child.stderr)])
    expect({ printed, told }).toEqual({ printed: '[\n', told: 'code 0\n' })
  })

  it('takes the place of the server and the token from options and variables', async () => {
    const regent = await fakeRegent({ 'agents.list': () => ({ agents: [], next_cursor: null }) })
    const seen = () => regent.api.requests.at(-1)?.headers.authorization
    await runCli(['--home', regent.home, 'ps'])
    expect(seen()).toBe('Bearer token-of-home')
    await runCli(['ps', '--url', regent.api.url], { env: { REGENT_TOKEN: 'from-variable' } })
    expect(seen()).toBe('Bearer from-variable')
    await runCli(['ps'], { env: { REGENT_URL: regent.api.url } })
    expect(seen()).toBeUndefined()
    await regent.run(['ps', '--token-file', `${regent.home}/token`, '--url', regent.api.url])
    expect(seen()).toBe('Bearer token-of-home')
  })
})
