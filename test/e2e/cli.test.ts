import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

const launcher = join(import.meta.dirname, '../../bin/regent')

/** A command that goes on until it is stopped; what it printed so far. */
function following(regent: Regent, ...args: string[]) {
  const child = spawn(launcher, args, { env: { PATH: process.env.PATH ?? '', REGENT_HOME: regent.home }, stdio: ['pipe', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const seen = { stdout: '', stderr: '' }
  child.stdout.on('data', (data) => {
    seen.stdout += data
  })
  child.stderr.on('data', (data) => {
    seen.stderr += data
  })
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  return { child, seen, ended }
}

it('a program is run, seen, stopped and removed from the command line', async () => {
  const regent = await Regent.start()
  const run = [
    'run',
    'web',
    '--wait',
    '--startsecs',
    '0',
    '-e',
    'GREETING=hello',
    '--',
    'sh',
    '-c',
    'echo "$GREETING from $PWD"; exec sleep 600',
  ]
  expect((await regent.run(...run)).stdout).toMatch(/^\S+\/web {2}RUNNING {2}pid \d+\n$/)
  const again = await regent.run(...run)
  expect(again).toMatchObject({ code: 0, stderr: '' })
  expect((await regent.run('run', 'web', '--', 'sleep', '1')).stderr).toContain('exists with another command')
  const [web] = await regent.json<{ state: string; pid: number; restarts: number }[]>('ps')
  expect(web).toMatchObject({ state: 'RUNNING', restarts: 0, pid: expect.any(Number) })
  await until(async () => (await regent.run('logs', 'web')).stdout === `hello from ${regent.project}\n`, 'its output is shown')
  expect((await regent.run('status', 'web')).code).toBe(0)
  expect((await regent.run('show', 'web')).stdout).toContain(`process    ${web?.pid}, up `)
  expect((await regent.run('stop', 'w*')).stdout).toContain('STOPPED')
  expect((await regent.run('status', 'web')).code).toBe(3)
  const types = (await regent.run('events', '--agent', 'web', '--type', 'run.*', '--json')).stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).type)
  expect(types).toEqual(['run.starting', 'run.running', 'run.stopping', 'run.stopped'])
  expect((await regent.run('rm', 'web')).stdout).toContain('removed')
  expect(await regent.run('ps', '--json')).toMatchObject({ code: 0, stdout: '[]\n' })
  expect(await regent.run('show', 'web')).toMatchObject({ code: 4 })
})

it('an agent is created from a file, talked with and changed', async () => {
  const regent = await Regent.start()
  const file = join(regent.project, 'news.json')
  const agent = {
    username: 'alice',
    name: 'news',
    subagents: [{ name: 'reader', instruction: 'Read feeds' }],
    json_config: { default_model: 'offline' },
  }
  writeFileSync(file, JSON.stringify(agent))
  expect(await regent.run('create', '-f', 'news.json')).toMatchObject({ code: 0, stdout: 'alice/news  created\n' })
  const waits = await regent.run('send', 'news', 'hello')
  expect(waits.stderr).toContain('so the message waits; start it with: regent start alice/news')
  expect(await regent.run('start', 'news')).toMatchObject({ code: 0 })
  const reply = await regent.json<{ type: string; content: string; reply_to: string; final: boolean }>(
    'send',
    'news',
    'how are you',
    '--wait',
    '--timeout',
    '30s',
  )
  expect(reply).toMatchObject({ type: 'assistant', final: true, content: expect.stringContaining('how are you') })
  const chat = following(regent, 'chat', 'news')
  chat.child.stdin.end('one more\n')
  expect(await chat.ended).toBe(0)
  expect(chat.seen.stdout).toContain('news> You said: one more\n')
  writeFileSync(file, JSON.stringify({ ...agent, subagents: [{ name: 'reader', instruction: 'Read books' }] }))
  expect((await regent.run('apply', '-f', file)).stdout).toBe('alice/news  changed\n')
  expect((await regent.run('apply', '-f', file)).stdout).toBe('alice/news  unchanged\n')
  expect((await regent.run('restart', 'alice/news')).code).toBe(0)
})

it('[I2-CLI-09] what is followed goes on over a restart of Regent, on another port', async () => {
  const regent = await Regent.start()
  const events = following(regent, 'events', '-f', '--type', 'agent.created', '-n', '10')
  await regent.run('run', 'one', '--', 'sleep', '600')
  await until(() => events.seen.stdout.includes('/one'), 'the first event arrives')
  await regent.kill()
  await regent.serve()
  await regent.run('run', 'two', '--', 'sleep', '600')
  await until(() => events.seen.stdout.includes('/two'), 'events go on', 20_000)
  expect(
    events.seen.stdout
      .trim()
      .split('\n')
      .map((line) => line.split(/ {2,}/)[2]),
  ).toEqual(['agent.created', 'agent.created'])
  expect(events.seen.stderr).toContain('connecting again')
  events.child.kill('SIGINT')
  expect(await events.ended).toBe(130)
})

it('[I2-CLI-06] logs -f follows an agent over its own restarts and a kill -9 of Regent', async () => {
  const regent = await Regent.start()
  await regent.run('run', 'counting', '--restart', 'always', '--startsecs', '0', '--', 'sh', '-c', 'echo "life $$"; exec sleep 600')
  const logs = following(regent, 'logs', '-f', 'counting')
  const lives = () => new Set(logs.seen.stdout.match(/life \d+/g)).size
  await until(() => lives() === 1, 'the first life is shown')
  expect((await regent.run('restart', 'counting')).code).toBe(0)
  await until(() => lives() === 2, 'the second life is shown')
  logs.child.kill('SIGINT')
  expect(await logs.ended).toBe(130)
  await regent.kill()
  await regent.serve()
  const { stdout } = await regent.run('logs', 'counting')
  expect(new Set(stdout.match(/life \d+/g)).size).toBe(2)
})
