import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentDetail } from '../../helpers/views.ts'

const ofManagerApi = {
  username: 'bo',
  name: 'news',
  subagents: [{ name: 'reader', instruction: 'Read feeds' }],
  json_config: { default_model: 'haiku' },
}

const creating = () =>
  fakeRegent({
    'agents.create': ({ agent }) => agentDetail(agent as object),
    'agents.apply': ({ agent }) => ({ agent: agentDetail(agent as object), outcome: 'changed', notes: ['takes effect at its next start'] }),
  })

function file(name: string, content: string): { cwd: string; path: string } {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, name), content)
  return { cwd, path: name }
}

describe('regent create', () => {
  it('[I2-CLI-02] takes what the manager API takes, from a file', async () => {
    const regent = await creating()
    const { cwd, path } = file('news.json', JSON.stringify(ofManagerApi))
    expect(await regent.run(['create', '-f', path], { cwd })).toEqual({ code: 0, stdout: 'bo/news  created\n', stderr: '' })
    const { username, ...rest } = ofManagerApi
    expect(regent.api.requests[0]?.input).toEqual({ agent: { ...rest, kind: 'team', owner: username }, start: false })
    expect(regent.api.requests[0]?.headers['idempotency-key']).toMatch(/^[0-9a-f-]{36}$/)
  })

  it('takes the native form as YAML from stdin, several at once', async () => {
    const regent = await creating()
    const stdin = 'kind: command\nname: one\ncommand: [sleep, "1"]\n---\nname: two\nowner: bo\ncommand: [sleep, "2"]\n'
    const { code, stdout } = await regent.run(['create', '-f', '-', '--owner', 'alice', '--start'], { stdin })
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'alice/one  created  RUNNING\nbo/two  created  RUNNING\n' })
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      { agent: { kind: 'command', name: 'one', owner: 'alice', command: ['sleep', '1'] }, start: true },
      { agent: { kind: 'command', name: 'two', owner: 'bo', command: ['sleep', '2'] }, start: true },
    ])
  })

  it('says that a start is under way where no state tells of it yet', async () => {
    const regent = await creating()
    regent.api.on('agents.create', () => agentDetail({ state: 'STOPPED', desired: 'running', pid: null }))
    const stdin = 'kind: command\nname: news\ncommand: [sleep, "1"]\n'
    expect((await regent.run(['create', '-f', '-', '--start'], { stdin })).stdout).toBe('alice/news  created  starting\n')
  })

  it('prints what was created: an object for one, an array for several', async () => {
    const regent = await creating()
    const one = await regent.run(['create', '-f', '-', '--json'], { stdin: JSON.stringify(ofManagerApi) })
    expect(JSON.parse(one.stdout)).toMatchObject({ owner: 'bo', name: 'news' })
    const two = await regent.run(['create', '-f', '-', '--json'], {
      stdin: JSON.stringify([ofManagerApi, { ...ofManagerApi, name: 'more' }]),
    })
    expect(JSON.parse(two.stdout)).toHaveLength(2)
  })

  it.each([
    ['{\n  "name": "x",\n  "kind": oops\n}', 1, /^regent: bad:3:11: not JSON: /],
    ['{\n  "name": "x",\n}', 1, /^regent: bad:3:1: not JSON: /],
    ['{"name": "x"\n "kind": "team"}', 1, /^regent: bad:2:2: not JSON: /],
    ['[{"name": "x"}', 1, /^regent: bad:1:15: not JSON: /],
    ['name: x\nkind: [1\ncommand: 2\n', 1, /^regent: bad:3:\d+: /],
    ['just text', 1, /^regent: bad is not an object with the fields of an agent/],
    ['', 1, /^regent: bad holds no agent/],
    ['{"kind": "team"}', 1, /^regent: bad: name is missing/],
  ])('says where %j is wrong', async (content, code, message) => {
    const regent = await creating()
    const { cwd, path } = file('bad', content)
    const result = await regent.run(['create', '-f', path], { cwd })
    expect(result).toMatchObject({ code, stdout: '' })
    expect(result.stderr).toMatch(message)
    expect(regent.api.requests).toEqual([])
  })

  it.each(['create', 'apply'])('%s names the file and the agent that is refused', async (verb) => {
    const refuse = () => {
      throw new RegentError('INVALID', 'agent.policy.restart: must be one of always, never')
    }
    const regent = await fakeRegent({ 'agents.create': refuse, 'agents.apply': refuse })
    const { cwd, path } = file('two.yaml', 'name: one\ncommand: [x]\n')
    const { code, stderr } = await regent.run([verb, '-f', path], { cwd })
    expect({ code, stderr }).toEqual({ code: 1, stderr: 'regent: two.yaml: one: policy.restart: must be one of always, never\n' })
  })

  it('says when there is no such file, with 4', async () => {
    const regent = await creating()
    expect(await regent.run(['create', '-f', 'none.json'])).toMatchObject({ code: 4, stderr: 'regent: there is no file none.json\n' })
  })
})

describe('regent apply', () => {
  it('[I2-CLI-02] tells what became of it and when it takes effect', async () => {
    const regent = await creating()
    const { code, stdout, stderr } = await regent.run(['apply', '-f', '-'], { stdin: JSON.stringify(ofManagerApi) })
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'bo/news  changed\n', stderr: 'takes effect at its next start\n' })
    expect(regent.api.requests[0]?.operation).toBe('agents.apply')
  })
})
