import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { localUser } from '../../../src/kernel/local-user.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentDetail, agentView } from '../../helpers/views.ts'

const exists = () => {
  throw new RegentError('ALREADY_EXISTS', 'there is an agent web already')
}

describe('regent run', () => {
  it('[I2-CLI-03] creates a command agent with what its caller has, and starts it', async () => {
    const regent = await fakeRegent({
      'agents.create': ({ agent }) => agentDetail({ ...(agent as object), state: 'STOPPED', desired: 'running', pid: null }),
    })
    const cwd = temporaryFolder()
    const args = [
      'run',
      'web',
      '--env',
      'A=1=2',
      '-e',
      'LANG',
      '--limit-memory',
      '512MiB',
      '--limit-cpu',
      '0.5',
      '--limit-pids',
      '20',
      '--startsecs',
      '0',
    ]
    const result = await regent.run([...args, '--', 'sh', '-c', 'exec sleep "$1"', '-', '60'], { cwd, env: { LANG: 'C.UTF-8' } })
    expect(result).toMatchObject({ code: 0, stderr: '' })
    expect(result.stdout).toMatch(/^\w+\/web {2}starting\n$/)
    expect(regent.api.requests.map(({ operation, input }) => [operation, input])).toEqual([
      [
        'agents.create',
        {
          agent: {
            kind: 'command',
            owner: localUser(),
            name: 'web',
            command: ['sh', '-c', 'exec sleep "$1"', '-', '60'],
            cwd,
            env: { PATH: process.env.PATH, HOME: cwd, LANG: 'C.UTF-8', A: '1=2' },
            policy: { restart: 'on-failure', startsecs: 0 },
            limits: { memory_bytes: 512 * 2 ** 20, cpus: 0.5, pids: 20 },
          },
          start: true,
        },
      ],
    ])
  })

  it('reads variables from a file and waits for RUNNING when asked', async () => {
    const regent = await fakeRegent({
      'agents.create': ({ agent }) => agentDetail(agent as object),
      'agents.start': () => agentView({ name: 'web' }),
    })
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'web.env'), 'TOKEN="a b"\nOTHER=1\n')
    const { stdout } = await regent.run(
      ['run', 'web', '--wait', '--env-file', 'web.env', '--owner', 'bo', '-e', 'OTHER=2', '--', 'sleep', '60'],
      { cwd },
    )
    expect(stdout).toBe('alice/web  RUNNING  pid 4242\n')
    const [created, started] = regent.api.requests.map(({ input }) => input)
    expect(created).toMatchObject({ start: false, agent: { owner: 'bo', env: { TOKEN: 'a b', OTHER: '2' } } })
    expect(started).toMatchObject({ wait: true })
  })

  it('gives the variables of a file to the agent alone', async () => {
    const regent = await fakeRegent({ 'agents.create': ({ agent }) => agentDetail(agent as object) })
    const cwd = temporaryFolder()
    writeFileSync(join(cwd, 'web.env'), 'REGENT_URL=http://127.0.0.1:1\n')
    const run = (file: string) => regent.run(['run', 'web', '--env-file', file, '--', 'sleep', '60'], { cwd })
    expect(await run('web.env')).toMatchObject({ code: 0, stderr: '' })
    expect(await run('none.env')).toEqual({ code: 4, stdout: '', stderr: 'regent: there is no file none.env\n' })
  })

  it('starts the agent that is there when it is the same, whatever the PATH', async () => {
    const cwd = temporaryFolder()
    const definition = { command: ['sleep', '60'], cwd, env: { PATH: '/elsewhere', HOME: cwd, KEY: '***' } }
    const regent = await fakeRegent({
      'agents.create': exists,
      'agents.get': () => agentDetail({ name: 'web', definition }),
      'agents.start': () => agentView({ name: 'web' }),
    })
    const { code, stdout, stderr } = await regent.run(['run', 'web', '-e', 'KEY=secret', '--', 'sleep', '60'], { cwd })
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: 'alice/web  RUNNING  pid 4242\n',
      stderr: 'alice/web keeps the PATH it was created with\n',
    })
  })

  it('refuses another definition under the same name, naming what differs and the remedies', async () => {
    const regent = await fakeRegent({ 'agents.create': exists, 'agents.get': () => agentDetail({ name: 'web' }) })
    const { code, stdout, stderr } = await regent.run(['run', 'web', '--restart', 'always', '--', 'sleep', '61'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain('alice/web exists with another command, cwd, restart policy\n')
    expect(stderr).toContain('`regent apply -f FILE`')
    expect(stderr).toContain('`regent rm alice/web`')
  })

  it('leaves the owner to the token where one is named', async () => {
    const regent = await fakeRegent({ 'agents.create': ({ agent }) => agentDetail(agent as object) })
    await regent.run(['run', 'web', '--', 'true'], { env: { REGENT_TOKEN: 'mine' } })
    expect(regent.api.requests[0]?.input.agent).not.toHaveProperty('owner')
  })

  it.each([
    [['run', 'web', '-e', 'no sign', '--', 'true'], "--env takes NAME=VALUE, not 'no sign'"],
    [['run', 'web', '-e', '=secret', '--', 'true'], "--env takes NAME=VALUE, not ''"],
    [['run', 'web', '-e', 'NOT_SET', '--', 'true'], '--env NOT_SET: you have no variable of that name'],
    [['run', 'web', '--limit-memory', 'much', '--', 'true'], "'much' is no size such as 512MiB"],
    [['run', 'web', '--limit-cpu', 'x', '--', 'true'], "--limit-cpu takes a number, not 'x'"],
    [['run', 'web'], "missing required argument 'COMMAND'"],
  ])('refuses %j with 2', async (args, message) => {
    const regent = await fakeRegent()
    const { code, stderr } = await regent.run(args)
    expect({ code, told: stderr.includes(message) ? message : stderr }).toEqual({ code: 2, told: message })
    expect(stderr).not.toContain('secret')
  })
})
