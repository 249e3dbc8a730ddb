import { mkdirSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { newAgent } from '../../../src/contract/agents.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { fakeRegent, runCli } from '../../helpers/run-cli.ts'
import { agentDetail } from '../../helpers/views.ts'

interface Plan {
  agents: { name: string; command: string[]; cwd?: string; env: Record<string, string>; policy: Record<string, unknown>; limits?: object }[]
  remarks: { file: string; section: string; key: string; text: string }[]
}

function folderWith(files: Readonly<Record<string, string>>): string {
  const cwd = temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(cwd, name)), { recursive: true })
    writeFileSync(join(cwd, name), text)
  }
  return cwd
}

/** What a file becomes; the contract must take every agent. */
async function plan(files: Readonly<Record<string, string>>, env: Readonly<Record<string, string>> = {}): Promise<Plan & { cwd: string }> {
  const cwd = folderWith(files)
  const { code, stdout, stderr } = await runCli(['import', Object.keys(files)[0] ?? '', '--dry-run', '-o', 'json'], { cwd, env })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const result = JSON.parse(stdout) as Plan
  for (const agent of result.agents) expect(newAgent.safeParse(agent).error).toBeUndefined()
  return { ...result, cwd }
}

async function refused(files: Readonly<Record<string, string>>): Promise<string> {
  const { code, stdout, stderr } = await runCli(['import', Object.keys(files)[0] ?? '', '--dry-run'], { cwd: folderWith(files) })
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  return stderr
}

const keysOf = ({ remarks }: Plan) => remarks.map(({ section, key }) => `${section} ${key}`)

describe('regent import of supervisord.conf', () => {
  it('reads programs as supervisord does: comments, continuation lines, expansions, quotes, included files', async () => {
    const found = await plan(
      {
        'supervisord.conf': [
          '; the main file',
          '[supervisord]',
          'environment=SHARED="a, b",HOST=%(host_node_name)s',
          '[include]',
          'files = conf.d/*.ini ; all of them',
          '[program:web]',
          'command=run "two words" \'%(ENV_COLOUR)s\' 100%% a;b   ; a comment',
          'environment=NAME="web#1;x",',
          "    LOCAL='x=y'",
          'directory=%(here)s',
        ].join('\n'),
        'conf.d/worker.ini':
          '[program:worker]\ncommand: sleep %(process_num)d\nprocess_name=%(program_name)s_%(process_num)02d\nnumprocs=2\nnumprocs_start=3\ndirectory=/srv\n',
      },
      { COLOUR: 'deep blue' },
    )
    const common = { SHARED: 'a, b', HOST: hostname() }
    expect(found.agents).toMatchObject([
      {
        name: 'web',
        command: ['run', 'two words', 'deep blue', '100%', 'a;b'],
        cwd: found.cwd,
        env: { ...common, NAME: 'web#1;x', LOCAL: 'x=y' },
      },
      { name: 'worker_03', command: ['sleep', '3'], cwd: '/srv', env: common },
      { name: 'worker_04', command: ['sleep', '4'], cwd: '/srv', env: common },
    ])
    expect(found.remarks).toEqual([])
  })

  it('turns its rules into a policy, with its defaults where nothing is said', async () => {
    const { agents } = await plan({
      'a.ini':
        '[program:plain]\ncommand=a\ndirectory=/\n' +
        '[program:own]\ncommand=b\ndirectory=/\nautostart=false\nautorestart=true\nstartsecs=5\nstartretries=7\nexitcodes=0,2\nstopsignal=QUIT\nstopwaitsecs=30\nkillasgroup=true\n' +
        '[program:once]\ncommand=c\ndirectory=/\nautorestart=false\n',
    })
    const defaults = { startsecs: 1, startretries: 3, stop_signal: 'TERM', stop_grace: 10, exit_codes: [0] }
    expect(agents.map(({ policy }) => policy)).toEqual([
      { restart: 'on-failure', ...defaults },
      { restart: 'always', startsecs: 5, startretries: 7, stop_signal: 'QUIT', stop_grace: 30, exit_codes: [0, 2], autostart: false },
      { restart: 'never', ...defaults },
    ])
  })

  it('says each thing that it does otherwise, or not at all [I3-IMP-01]', async () => {
    const found = await plan({
      'supervisord.conf':
        '[unix_http_server]\nfile=/tmp/s.sock\n[supervisord]\nlogfile=/tmp/x\numask=077\n[include]\nfiles=none/*.ini\n' +
        '[program:a b]\ncommand=x\npriority=1\nuser=nobody-here\numask=022\nstdout_logfile=/tmp/a\nredirect_stderr=true\nstopasgroup=false\n' +
        '[eventlistener:e]\ncommand=y\n[group:g]\nprograms=a b\n',
    })
    expect(keysOf(found)).toEqual([
      'include files',
      'unix_http_server file',
      'supervisord logfile, umask',
      'program:a b user',
      'program:a b umask',
      'program:a b stdout_logfile',
      'program:a b redirect_stderr',
      'program:a b stopasgroup',
      'program:a b name',
      'program:a b directory',
      'program:a b priority',
      'eventlistener:e command',
      'group:g programs',
    ])
    expect(found.agents.map(({ name }) => name)).toEqual(['a-b'])
  })

  it.each([
    ['[program:x]\ncommand=a "b\n', /a\.ini:2: program:x: command: a " is not closed/],
    ['[program:x]\ncommand=%(ENV_NONE)s\n', /a\.ini:2: program:x: command: %\(ENV_NONE\)s has no value\n.*set NONE/s],
    ['[program:x]\ncommand=a\nenvironment=A="b # c"\n', /a\.ini:3: .* is not of the form KEY="value"/],
    ['[program:x]\ncommand=50%\n', /a\.ini:2: .*'%' is no expansion\n.*write %%/s],
    ['[program:x]\ncommand=a\nstartsecs=soon\n', /a\.ini:3: program:x: startsecs: "soon" is not a number/],
    ['[program:x]\ncommand=a\nnumprocs=2\n', /must hold %\(process_num\)/],
    ['[program:x]\nautostart=false\n', /program:x: command is missing/],
    ['[program:x]\nwhat is this\n', /a\.ini:2: not a line of the form key=value/],
    ['key=value\n', /a\.ini:1: there is no \[section\]/],
    ['[supervisord]\nlogfile=x\n', /holds no program\n.*Regent imports/s],
  ])('refuses %j with its place', async (text, message) => {
    expect(await refused({ 'a.ini': text })).toMatch(message)
  })
})

describe('regent import of pm2', () => {
  const apps = [
    {
      name: 'api',
      script: './api.js',
      args: '--port 80 "a b"',
      node_args: ['--inspect'],
      instances: 2,
      env: { NODE_ENV: 'production', PORT: 80, LIST: [1] },
      increment_var: 'PORT',
      min_uptime: '2s',
      max_restarts: 5,
      kill_timeout: 3000,
      max_memory_restart: '200M',
      cron_restart: '0 3 * * *',
    },
    { script: 'job.py', cwd: 'sub', autorestart: false },
    { name: 'shell', script: 'npm', args: ['run', 'it'], stop_exit_codes: [0, 3], autostart: false, watch: false },
    { name: 'words', script: 'echo hello && sleep 1' },
  ]

  it('turns apps into agents, one for each instance [I3-IMP-02]', async () => {
    const { agents, cwd, remarks } = await plan({ 'ecosystem.config.json': JSON.stringify({ apps }) })
    const command = ['node', '--inspect', `${join(temporaryFolder(), '..')}`].slice(0, 2)
    const base = { startsecs: 1, startretries: 16, stop_signal: 'INT', stop_grace: 1.6 }
    expect(agents.map(({ name }) => name)).toEqual(['api-0', 'api-1', 'job', 'shell', 'words'])
    const [first, second, job, shell, words] = agents
    expect(first).toMatchObject({
      command: [...command, join(cwd, 'api.js'), '--port', '80', 'a b'],
      cwd,
      env: { NODE_ENV: 'production', PORT: '80', LIST: '[1]', NODE_APP_INSTANCE: '0' },
      limits: { memory_bytes: 200 * 2 ** 20 },
    })
    expect(first?.policy).toEqual({
      restart: 'always',
      startsecs: 2,
      startretries: 5,
      stop_signal: 'INT',
      stop_grace: 3,
      schedules: [{ cron: '0 3 * * *', timezone: 'UTC', action: 'restart' }],
    })
    expect(second?.env).toMatchObject({ PORT: '81', NODE_APP_INSTANCE: '1' })
    expect(job).toMatchObject({
      command: ['python3', join(cwd, 'sub/job.py')],
      cwd: join(cwd, 'sub'),
      policy: { ...base, restart: 'never' },
    })
    expect(shell).toMatchObject({
      command: ['npm', 'run', 'it'],
      policy: { ...base, restart: 'on-failure', exit_codes: [0, 3], autostart: false },
    })
    expect(words?.command).toEqual(['bash', '-c', 'echo hello && sleep 1'])
    expect(remarks.map(({ key }) => key)).toEqual(['instances', 'max_memory_restart'])
  })

  it('loads JavaScript, whatever it prints, in a process of its own', async () => {
    const module = `console.log('noise')\nmodule.exports = { apps: [{ name: process.env.WHO, script: 'a.sh', wait_ready: true }], deploy: {} }\n`
    const found = await plan({ 'ecosystem.config.cjs': module }, { WHO: 'mine' })
    expect(found.agents).toMatchObject([{ name: 'mine', command: ['bash', join(found.cwd, 'a.sh')] }])
    expect(keysOf(found)).toEqual(['top deploy', 'apps.0 (mine) wait_ready'])
    const async = await plan({ 'pm2.config.mjs': `export default async () => ({ apps: [{ script: 'x.rb' }] })` })
    expect(async.agents).toMatchObject([{ name: 'x', command: ['ruby', join(async.cwd, 'x.rb')] }])
  })

  it('takes a CommonJS file in a package of ES modules', async () => {
    const found = await plan({
      'ecosystem.config.js': "module.exports = { apps: [{ name: 'api', script: 'a.sh' }] }\n",
      'package.json': '{ "type": "module" }',
    })
    expect(found.agents).toMatchObject([{ name: 'api', command: ['bash', join(found.cwd, 'a.sh')] }])
  })

  it.each([
    ['module.exports = {\n  apps: [}\n', /ecosystem\.config\.cjs:2: cannot be loaded: SyntaxError/],
    ['throw new Error("not today")', /cannot be loaded: Error: not today/],
    ['module.exports = { apps: [{ name: "x" }] }', /apps\.0 \(x\): script: is missing/],
    ['module.exports = { apps: [{ script: "x", kill_timeout: "soon" }] }', /kill_timeout: "soon" is not a duration/],
    ['module.exports = { apps: [] }', /holds no program/],
  ])('refuses %j with its place', async (text, message) => {
    expect(await refused({ 'ecosystem.config.cjs': text })).toMatch(message)
  })
})

describe('regent import of process-compose.yaml', () => {
  it('turns processes into agents, with dependencies, probes and schedules [I3-IMP-03]', async () => {
    const { agents, cwd } = await plan({
      'process-compose.yaml': `
environment: ["A=1"]
processes:
  app:
    command: "serve $$PORT"
    depends_on: { db: { condition: process_healthy }, setup: { condition: process_completed_successfully } }
    liveness_probe: { http_get: { port: 8080, path: health }, timeout_seconds: 3 }
    shutdown: { signal: 2, timeout_seconds: 4 }
  db:
    command: postgres
    working_dir: data
    environment: ["A=2", "B=x=y"]
    availability: { restart: always }
    readiness_probe: { exec: { command: pg_isready }, period_seconds: 2, initial_delay_seconds: 1, failure_threshold: 5 }
  setup: { entrypoint: [make, it], availability: { restart: on_failure } }
  nightly: { command: date, schedule: { cron: "0 2 * * *", timezone: Europe/Berlin } }
  off: { command: date, disabled: true }
`,
    })
    expect(agents.map(({ name }) => name)).toEqual(['db', 'setup', 'app', 'nightly', 'off'])
    const [db, setup, app, nightly, off] = agents
    const stop = { stop_signal: 'TERM', stop_grace: 10 }
    expect(db).toMatchObject({ command: ['bash', '-c', 'postgres'], cwd: join(cwd, 'data'), env: { A: '2', B: 'x=y' } })
    const timing = { delay: 1, interval: 2, timeout: 1, successes: 1, failures: 5 }
    expect(db?.policy).toEqual({
      restart: 'always',
      ...stop,
      probes: { readiness: { type: 'exec', command: ['bash', '-c', 'pg_isready'], ...timing } },
    })
    expect(setup).toMatchObject({ command: ['make', 'it'], policy: { restart: 'on-failure' } })
    expect(app).toMatchObject({ command: ['bash', '-c', 'serve $PORT'], env: { A: '1' } })
    expect(app?.policy).toMatchObject({
      restart: 'never',
      stop_signal: 'INT',
      stop_grace: 4,
      depends_on: { db: { condition: 'healthy' }, setup: { condition: 'exited' } },
      probes: { liveness: { type: 'http', url: 'http://127.0.0.1:8080/health', timeout: 3 } },
    })
    expect(nightly?.policy).toMatchObject({ schedules: [{ cron: '0 2 * * *', timezone: 'Europe/Berlin', action: 'start' }] })
    expect(off?.policy).toMatchObject({ autostart: false })
  })

  it('says what it does otherwise, and refuses what cannot be', async () => {
    const found = await plan({
      'process-compose.yml': `
log_level: debug
processes:
  a: { command: x, is_daemon: true, availability: { restart: exit_on_failure, max_restarts: 3 }, depends_on: { b: { condition: process_log_ready } } }
  b: { command: y, replicas: 2, ready_log_line: up, shutdown: { command: bye }, schedule: { interval: 5m } }
`,
    })
    expect(keysOf(found)).toEqual([
      'top log_level',
      'processes.a availability.restart',
      'processes.a availability.max_restarts',
      'processes.a depends_on.b',
      'processes.a is_daemon',
      'processes.b schedule.interval',
      'processes.b shutdown.command',
      'processes.b ready_log_line',
    ])
    expect(found.agents.find(({ name }) => name === 'a')?.policy.depends_on).toEqual({
      'b-0': { condition: 'started' },
      'b-1': { condition: 'started' },
    })
    expect(await refused({ 'p.yaml': 'processes:\n  a: { command: x, depends_on: { c: {} } }\n' })).toMatch(
      /depends_on\.c: there is no process of that name/,
    )
    expect(await refused({ 'p.yaml': 'processes:\n  a: [1\n' })).toMatch(/p\.yaml:\d+:\d+: /)
    expect(await refused({ 'p.yaml': 'kind: command\nname: x\n' })).toMatch(/regent apply -f/)
  })
})

describe('regent import', () => {
  it('applies everything before it starts anything, starts what it created, and tells remarks as JSON', async () => {
    const outcomes = ['created', 'unchanged', 'created', 'changed']
    const regent = await fakeRegent({
      'agents.apply': ({ agent }) => ({
        agent: agentDetail({ ...(agent as object), id: `id-${(agent as { name: string }).name}` }),
        outcome: outcomes.shift(),
        notes: [],
      }),
      'agents.start': () => agentDetail({}),
    })
    const program = (name: string, rest = '') => `[program:${name}]\ncommand=x\ndirectory=/\n${rest}`
    const cwd = folderWith({ 'a.conf': program('one') + program('two') + program('three', 'autostart=false\n') + program('four') })
    const { code, stdout } = await regent.run(['import', 'a.conf', '--owner', 'bo'], { cwd })
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'bo/one  created  starting\nbo/two  unchanged\nbo/three  created\nbo/four  changed\n',
    })
    expect(regent.api.requests.map(({ operation }) => operation)).toEqual([...Array(4).fill('agents.apply'), 'agents.start'])
    outcomes.push('created', 'created', 'created', 'created')
    const told = await regent.run(['import', 'a.conf', '--no-start', '--json'], { cwd })
    expect(JSON.parse(told.stdout)).toMatchObject({ agents: [{ outcome: 'created', started: false }, {}, {}, {}], remarks: [] })
  })
})
