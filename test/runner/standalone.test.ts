import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { teamDefinition } from '../../src/contract/team.ts'
import { isObject } from '../../src/kernel/json.ts'
import { startAgentFile } from '../helpers/agent-process.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const root = join(import.meta.dirname, '../..')
const queen = 'examples/queen-agent/queen_agent.mjs'
const bare = { PATH: '/usr/bin:/bin' }

/** An agent file as a template and its five values make it. */
function agentFile(values: { subagents?: object[]; config?: object; task?: string | null }): string {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/regent'))
  const { subagents = [], config = {}, task = null } = values
  const filled: Record<string, string> = {
    PLACEHOLDER_SUBAGENTS_CONFIG: JSON.stringify(subagents),
    PLACEHOLDER_JSON_CONFIG: JSON.stringify({ default_model: 'offline', logger: { type: 'none' }, ...config }),
    PLACEHOLDER_AGENT_NAME: JSON.stringify('crew'),
    PLACEHOLDER_INITIAL_TASK_EXECUTION: task === null ? '// No initial task.' : 'await team.runInitialTask(initialTask)',
    PLACEHOLDER_INITIAL_TASK: JSON.stringify(task),
  }
  const template = readFileSync(join(root, 'templates/agent_script_template.mjs'), 'utf8')
  const file = join(folder, 'crew_agent.mjs')
  writeFileSync(
    file,
    template.replaceAll(/PLACEHOLDER_[A-Z]+(_[A-Z]+)*/g, (name) => filled[name] ?? name),
  )
  return file
}

describe('an agent file by itself', () => {
  it('reads messages from a pipe and prints the answers alone on stdout [I2-TPL-01]', async () => {
    const agent = startAgentFile(queen, { input: 'hello\n\nand again\n', env: bare })
    expect(await agent.exited).toEqual({ code: 0, signal: null })
    expect(agent.out().match(/finder: You said: /g)).toHaveLength(2)
    expect(agent.out()).toContain('reporter: You said: and again')
    expect(agent.out()).toContain('The offline model stands in for')
    expect(agent.err()).toContain('queen: a team of 3 run by itself')
    expect(agent.err()).toContain('tool-server fetch: built-in fetch stands in')
  })

  it.each([
    ['y', 'robots'],
    ['n', "Tool call to 'fetch' was rejected"],
    ['what?', "Tool call to 'fetch' was rejected"],
    ['', "Tool call to 'fetch' was rejected"],
  ])('asks before a tool that seeks to be confirmed; the next line %j answers', async (line, outcome) => {
    const agent = startAgentFile(queen, { input: `call fetch {"url":"http://regent.invalid/"}\n${line}`, env: bare })
    expect((await agent.exited).code).toBe(0)
    expect(agent.err()).toContain('finder asks to call fetch {"url":"http://regent.invalid/"}')
    expect(agent.out()).toContain(outcome)
    expect(agent.out().includes('You said: what?')).toBe(line === 'what?')
  })

  it('is made by the template, does its initial task, and takes its keys from .env [S0-28] [S0-30]', async () => {
    const keys: unknown[] = []
    const provider = createServer((request, response) => {
      keys.push(request.headers['x-api-key'])
      response
        .writeHead(401, { 'content-type': 'application/json' })
        .end('{"type":"error","error":{"type":"authentication_error","message":"no"}}')
    })
    await new Promise<void>((listening) => provider.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void provider.close())
    const { port } = provider.address() as AddressInfo
    const config = { default_model: 'haiku', anthropic: { api_key: '$' + '{secret:json_config.anthropic.api_key}' } }
    const file = agentFile({ task: 'prepare', config })
    writeFileSync(join(file, '../.env'), `CLAUDE_API_KEY=key-from-the-file\nANTHROPIC_BASE_URL=http://127.0.0.1:${port}\n`)
    const agent = startAgentFile(file, { cwd: join(file, '..'), env: bare, input: '' })
    expect((await agent.exited).code).toBe(0)
    expect(keys).toEqual(['key-from-the-file'])
    expect(agent.out()).toContain('No answer: anthropic.claude-3-5-haiku-latest refused with 401')
    expect(agent.err()).toContain("secret json_config.anthropic.api_key: the secret 'json_config.anthropic.api_key' is not here")
    expect(agent.out() + agent.err()).not.toContain('key-from-the-file')
  })

  it('keeps text of a task data, whatever it looks like', async () => {
    const task = `say \`$${'{process.exit(3)}'}\` "'\\ PLACEHOLDER_AGENT_NAME */ </script>`
    const agent = startAgentFile(agentFile({ task }), { input: '', env: bare })
    expect(await agent.exited).toEqual({ code: 0, signal: null })
    expect(agent.out()).toContain(task.slice(4))
  })

  it('stays when nothing can be read, until it is told to stop', async () => {
    const agent = startAgentFile(agentFile({ config: { logger: { type: 'console', level: 'info' } } }), { env: bare })
    await until(() => agent.err().includes('run by itself'), 'the start')
    agent.kill('SIGTERM')
    expect(await agent.exited).toEqual({ code: 0, signal: null })
    expect(agent.err()).toContain('told to stop (SIGTERM)')
  })

  it('says which Node it needs to one that is too old for it', () => {
    const entry = readFileSync(join(root, 'bin/runner.js'), 'utf8')
    expect(entry).toMatch(/< 24/)
    expect(entry).not.toMatch(/: string|interface |import type/)
  })
})

describe('the sample', () => {
  it('has the shape of the template, so that a person can compare [S0-34] [S0-42]', () => {
    const code = (path: string): string[] =>
      readFileSync(join(root, path), 'utf8')
        .split('\n')
        .filter((line) => /^(import|const|await|\/\/ The members|\/\/ Done once)/.test(line))
        .map((line) => line.replace(/(=|name:|^)\s*(PLACEHOLDER_\w+|\[|\{|null|'queen').*$/, '$1'))
    expect(code(queen)).toEqual(code('templates/agent_script_template.mjs'))
  })

  it('is the same team as its JSON', async () => {
    const json: unknown = JSON.parse(readFileSync(join(root, 'examples/queen-agent/queen.json'), 'utf8'))
    if (!isObject(json)) throw new Error('queen.json is no object')
    const { username, name, ...definition } = json
    expect([username, name]).toEqual(['alice', 'queen'])
    expect(teamDefinition.safeParse(definition).success).toBe(true)
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'node_modules/regent'), { recursive: true })
    writeFileSync(join(folder, 'node_modules/regent/package.json'), '{"type":"module","exports":{"./runner":"./r.js"}}')
    writeFileSync(
      join(folder, 'node_modules/regent/r.js'),
      'export class Team { constructor(input) { console.log(JSON.stringify(input)) } async start() {} async serve() {} }',
    )
    copyFileSync(join(root, queen), join(folder, 'queen_agent.mjs'))
    const agent = startAgentFile(join(folder, 'queen_agent.mjs'), { cwd: folder })
    expect((await agent.exited).code).toBe(0)
    expect(JSON.parse(agent.out())).toEqual({ name: 'queen', subagents: definition.subagents, config: definition.json_config })
  })
})
