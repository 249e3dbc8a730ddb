import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.ts'
import { fakeRegent, runCli } from '../../helpers/run-cli.ts'
import { agentView, approvalView, systemStatus } from '../../helpers/views.ts'

describe('regent config', () => {
  it('[I2-CFG-03] says that a configuration is right, and where one is wrong', async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'regent.toml'), '[http]\nport = 9090\n')
    expect(await runCli(['config', 'check'], { cwd })).toEqual({
      code: 0,
      stdout: 'the configuration is right (1 of 60 settings are not the default)\n',
      stderr: '',
    })
    writeFileSync(join(cwd, 'regent.toml'), '[http]\nprot = 9090\nport = "x"\n')
    const wrong = await runCli(['config', 'check'], { cwd })
    expect(wrong).toMatchObject({ code: 1, stdout: '' })
    expect(wrong.stderr).toContain('regent.toml:2:1: there is no setting http.prot; did you mean http.port?')
    expect(wrong.stderr).toContain('regent.toml:3:1: http.port: ')
    writeFileSync(join(cwd, 'regent.toml'), 'auth = none\n')
    expect((await runCli(['config', 'check'], { cwd })).stderr).toContain('regent.toml:1:8: ')
    const env = { REGENT_PROT: '1' }
    const told = await runCli(['config', 'check', '--json'], { env })
    expect(JSON.parse(told.stdout)).toMatchObject({ ok: true, warnings: [expect.stringContaining('did you mean REGENT_PORT?')] })
    expect((await runCli(['serve'], { cwd })).code).toBe(1)
  })

  it('[I2-CFG-04] shows every value with its origin, and no secret', async () => {
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'regent.toml'), 'database_url = "postgres://regent:pass@db/regent"\n[http]\nport = 9090\n')
    writeFileSync(join(cwd, '.env'), 'OPENAI_API_KEY=sk-secret\n')
    const env = { REGENT_HOST: '127.0.0.2', ANTHROPIC_API_KEY: 'sk-ant-secret' }
    const { stdout } = await runCli(['config', 'show', '--origin'], { cwd, env })
    expect(stdout).not.toMatch(/secret|pass@/)
    const row = (name: string) =>
      stdout
        .split('\n')
        .find((line) => line.startsWith(`${name} `))
        ?.replaceAll(/ {2,}/g, ' | ')
    expect(row('http.port')).toBe('http.port | 9090 | regent.toml:3:1')
    expect(row('http.host')).toBe('http.host | 127.0.0.2 | REGENT_HOST')
    expect(row('models.openai_key')).toBe('models.openai_key | *** | .env (OPENAI_API_KEY)')
    expect(row('models.anthropic_key')).toBe('models.anthropic_key | *** | ANTHROPIC_API_KEY')
    expect(row('database_url')).toBe('database_url | postgres://regent:***@db/regent | regent.toml:1:1')
    expect(row('auth')).toBe('auth | auto | default')
    const shown = JSON.parse((await runCli(['config', 'show', '--json'], { cwd, env })).stdout)
    expect(shown).toMatchObject({ 'http.port': 9090, 'models.openai_key': '***' })
  })

  it('prints the JSON Schema', async () => {
    expect(JSON.parse((await runCli(['config', 'schema'])).stdout)).toMatchObject({ title: 'regent.toml', type: 'object' })
  })
})

describe('regent doctor', () => {
  it('[I2-CLI-11] finds what is here and what is not, each with a remedy', async () => {
    const { code, stdout, stderr } = await runCli(['doctor'], { env: { REGENT_PORT: '0', REGENT_ORCHESTRATOR_PORT: 'off' } })
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'everything that Regent needs is here\n' })
    expect(stdout).toMatch(/^ok {7}node {10,}24\./m)
    expect(stdout).toMatch(/^note {5}server .*`regent serve`/m)
    expect(stdout).toMatch(/^note {5}models .*set ANTHROPIC_API_KEY/m)
  })

  it('exits with 1 when something required is missing, and tells as JSON too', async () => {
    const home = join(temporaryFolder(), 'home')
    mkdirSync(home, { mode: 0o755 })
    const { code, stdout } = await runCli(['doctor', '--json'], { env: { REGENT_HOME: home, PATH: '/usr/bin:/bin', REGENT_PORT: '0' } })
    expect(code).toBe(1)
    const told = JSON.parse(stdout)
    expect(told.ok).toBe(false)
    expect(told.checks).toContainEqual({
      name: 'home',
      ok: false,
      required: true,
      message: `${home} can be read by others: chmod 700 ${home}`,
    })
  })

  it('takes a home that others may pass through, as agents with an account of their own do', async () => {
    const home = join(temporaryFolder(), 'home')
    mkdirSync(home)
    chmodSync(home, 0o711)
    const { code, stdout } = await runCli(['doctor'], { env: { REGENT_HOME: home, REGENT_PORT: '0', REGENT_ORCHESTRATOR_PORT: 'off' } })
    expect(code).toBe(0)
    expect(stdout).toContain(`ok       home               ${home}\n`)
  })

  it('tells of a project that takes no agent files', async () => {
    const project = temporaryFolder()
    expect((await runCli(['doctor', '--project', project])).stdout).toContain(`  project            ${project}\n`)
    writeFileSync(join(project, 'agents'), '')
    expect((await runCli(['doctor', '--project', join(project, 'agents', 'x')])).stdout).toMatch(/^note {5}project .*cannot be written/m)
  })

  it('tells what the server and its agents lack', async () => {
    const condition = { type: 'broker', subject: 'b-1:9098', message: 'cannot be reached', since: 0, agent: 'alice/news' }
    const regent = await fakeRegent({
      'system.status': () =>
        systemStatus({ conditions: [condition], checks: [{ name: 'store', ok: false, required: true, message: 'read-only' }] }),
    })
    const { code, stdout } = await regent.run(['doctor'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^missing {2}server: store +read-only$/m)
    expect(stdout).toMatch(/^note {5}alice\/news +broker b-1:9098: cannot be reached$/m)
    expect(stdout).toMatch(/^ok {7}server: stop +level C: /m)
  })

  it('tells a wrong configuration as a finding', async () => {
    const { code, stdout } = await runCli(['doctor'], { env: { REGENT_PORT: 'x' } })
    expect(code).toBe(1)
    expect(stdout).toMatch(/^missing {2}configuration {2}REGENT_PORT: http\.port: /m)
  })
})

describe('regent completion', () => {
  it.each(['bash', 'zsh', 'fish', 'powershell'])('prints a script for %s that asks this command', async (shell) => {
    const { code, stdout } = await runCli(['completion', shell])
    expect(code).toBe(0)
    expect(stdout).toMatch(/regent complete '?--/)
  })

  it('[I2-CLI-11] offers commands, options, choices, agents and approvals', async () => {
    const agents = [agentView(), agentView({ id: 'x', owner: 'bo' }), agentView({ id: 'y', name: 'queen' })]
    const regent = await fakeRegent({
      'agents.list': () => ({ agents, next_cursor: null }),
      'approvals.list': () => ({ approvals: [approvalView()] }),
    })
    const offers = async (...words: string[]) =>
      (await regent.run(['complete', '--', ...words])).stdout.split('\n').map((line) => line.split('\t')[0])
    expect(await offers('sto')).toEqual(['stop', ':4', ''])
    expect(await offers('start', '')).toEqual(['alice/news', 'queen', 'alice/queen', 'bo/news', ':4', ''])
    expect(await offers('start', 'queen', 'b')).toEqual(['bo/news', ':4', ''])
    expect(await offers('ls', '--wat')).toEqual(['--watch', ':4', ''])
    expect(await offers('ps', '-o', 'j')).toEqual(['json', ':4', ''])
    expect(await offers('events', '--agent', 'q')).toEqual(['queen', ':4', ''])
    expect(await offers('token', 'cr')).toEqual(['create', ':4', ''])
    expect(await offers('approve', '')).toEqual(['7e3c1a9e', ':4', ''])
    expect(await offers('create', '-f', '')).toEqual([':0', ''])
  })

  it('stays quiet without a server', async () => {
    expect(await runCli(['complete', '--', 'start', ''])).toEqual({ code: 0, stdout: ':4\n', stderr: '' })
  })
})
