import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { type Ran, Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

const TICKING = ['sh', '-c', 'trap "echo hup" HUP; i=0; while :; do i=$((i+1)); echo "tick $i é <&>"; sleep 0.1; done']

describeWith('supervisor', 'the stock supervisorctl', ({ url: program, daemon }) => {
  /** Bare, in the project's folder, as a person types it. */
  function supervisorctl(regent: Pick<Regent, 'project'>, ...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const options = { cwd: regent.project, env: { PATH: process.env.PATH, LANG: 'C.UTF-8', HOME: regent.project }, timeout: 60_000 }
      execFile(program, args, options, (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }))
    })
  }

  /** Follows until the words are there; answers all that was printed. */
  async function follow(regent: Regent, words: RegExp, ...args: string[]): Promise<string> {
    const child = spawn(program, args, {
      cwd: regent.project,
      env: { PATH: process.env.PATH, LANG: 'C.UTF-8' },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    let printed = ''
    for (const output of [child.stdout, child.stderr])
      output.on('data', (data) => {
        printed += data
      })
    await until(() => words.test(printed), `${words} of ${args.join(' ')}`)
    child.kill('SIGINT')
    await once(child, 'exit')
    return printed
  }

  const ticking = async (regent: Regent, name = 'ticker') => {
    expect((await regent.run('run', name, '--', ...TICKING)).code).toBe(0)
    await until(async () => (await regent.json<{ state: string }[]>('ps')).every(({ state }) => state === 'RUNNING'), 'RUNNING')
    const [{ owner } = { owner: '' }] = await regent.json<{ owner: string }[]>('ps')
    return `${owner}_${name}_agent`
  }

  it('[part of S0-13] shows, stops, starts and restarts, with its own words and exit codes', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    expect(statSync(join(regent.home, 'supervisor.sock')).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(regent.project, 'supervisord.conf'), 'utf8')).toContain(`unix://${regent.home}/supervisor.sock`)
    const status = await supervisorctl(regent, 'status')
    expect(status).toMatchObject({ code: 0, stderr: '' })
    expect(status.stdout).toMatch(
      new RegExp(`^agent_manager +RUNNING +pid ${regent.pid}, uptime 0:00:\\d\\d\\n${ticker} +RUNNING +pid \\d+, uptime 0:00:\\d\\d\\n$`),
    )
    expect(await supervisorctl(regent, 'stop', ticker)).toMatchObject({ code: 0, stdout: `${ticker}: stopped\n` })
    const stopped = await supervisorctl(regent, 'status', ticker)
    expect(stopped.code).toBe(3)
    expect(stopped.stdout).toMatch(new RegExp(`^${ticker} +STOPPED +[A-Z][a-z]{2} \\d\\d \\d\\d:\\d\\d [AP]M\\n$`))
    expect(await supervisorctl(regent, 'stop', ticker)).toMatchObject({ code: 0, stdout: `${ticker}: ERROR (not running)\n` })
    expect(await supervisorctl(regent, 'start', ticker)).toMatchObject({ code: 0, stdout: `${ticker}: started\n` })
    expect(await supervisorctl(regent, 'start', ticker)).toMatchObject({ code: 0, stdout: `${ticker}: ERROR (already started)\n` })
    expect(await supervisorctl(regent, 'restart', 'ticker')).toMatchObject({ code: 0, stdout: 'ticker: stopped\nticker: started\n' })
    expect(await supervisorctl(regent, 'status', 'nobody')).toMatchObject({ code: 4, stdout: 'nobody: ERROR (no such process)\n' })
    expect(await supervisorctl(regent, 'start', 'nobody')).toMatchObject({ code: 1, stdout: 'nobody: ERROR (no such process)\n' })
  })

  it('ends with Regent: the socket goes, and a stale one of a killed Regent is replaced', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    const socket = join(regent.home, 'supervisor.sock')
    await regent.kill()
    expect(existsSync(socket)).toBe(true)
    expect(await supervisorctl(regent, 'status')).toMatchObject({ code: 4, stdout: `unix://${socket} refused connection\n` })
    await regent.serve()
    expect((await supervisorctl(regent, 'status', ticker)).code).toBe(0)
    const { stdout: pid } = await supervisorctl(regent, 'pid', ticker)
    expect(await supervisorctl(regent, 'shutdown')).toMatchObject({ code: 0, stdout: 'Shut down\n' })
    await until(() => !existsSync(socket), 'the end of the socket')
    expect(await supervisorctl(regent, 'status')).toMatchObject({ code: 4, stdout: `unix://${socket} no such file\n` })
    process.kill(Number(pid), 0)
  })

  it('restarts Regent as agent_manager: same process, and its agents are taken up [S0-13]', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    const { stdout: agentPid } = await supervisorctl(regent, 'pid', ticker)
    const log = await supervisorctl(regent, 'maintail', '-1000000')
    expect(await supervisorctl(regent, 'restart', 'agent_manager')).toMatchObject({
      code: 0,
      stdout: 'agent_manager: stopped\nagent_manager: started\n',
    })
    const starts = (text: string) => text.split('Regent is ready').length - 1
    await until(async () => starts((await supervisorctl(regent, 'maintail', '-1000000')).stdout) > starts(log.stdout), 'the next Regent')
    expect(await supervisorctl(regent, 'pid', 'agent_manager')).toMatchObject({ code: 0, stdout: `${regent.pid}\n` })
    expect(await supervisorctl(regent, 'pid', ticker)).toMatchObject({ code: 0, stdout: agentPid })
  })

  it('follows output', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    expect(await follow(regent, /tick 15 /, 'tail', '-f', ticker)).toContain('tick 14 é <&>\ntick 15 é <&>')
    expect(await follow(regent, /404/, 'tail', '-f', 'nobody')).toContain('status code 404')
    expect(await follow(regent, /is served/, 'maintail', '-f')).toContain('Regent is ready')
  })

  it('keeps stdout and stderr apart, and clears both [I3-RPC-02]', async () => {
    const regent = await Regent.start()
    expect((await regent.run('run', 'two', '--', 'sh', '-c', 'echo to stdout; echo to stderr >&2; exec sleep 1000')).code).toBe(0)
    const tail = async (...args: string[]) => (await supervisorctl(regent, 'tail', ...args)).stdout
    await until(
      async () => (await tail('two')).includes('to stdout') && (await tail('two', 'stderr')).includes('to stderr'),
      'both streams',
    )
    expect(await tail('two')).toBe('to stdout\n\n')
    expect(await tail('two', 'stderr')).toBe('to stderr\n\n')
    expect(await supervisorctl(regent, 'clear', 'two')).toMatchObject({ code: 0, stdout: 'two: cleared\n' })
    expect(await tail('two')).toBe('\n')
    expect(await tail('two', 'stderr')).toBe('\n')
    expect((await supervisorctl(regent, 'clear', 'all')).stdout).toMatch(/^\w+_two_agent: cleared\n$/)
  })

  it('[part of S0-13] tells pids, versions, what is there and what is wrong, as issue 3 lists its commands', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    const is = async (code: number, stdout: string | RegExp, ...args: string[]) => {
      const ran = await supervisorctl(regent, ...args)
      expect([args.join(' '), ran.code, ran.stdout]).toEqual([
        args.join(' '),
        code,
        typeof stdout === 'string' ? stdout : expect.stringMatching(stdout),
      ])
    }
    const [{ pid } = { pid: 0 }] = await regent.json<{ pid: number }[]>('ps')
    await is(0, `${regent.pid}\n`, 'pid')
    await is(0, `${pid}\n`, 'pid', ticker)
    await is(0, `${regent.pid}\n${pid}\n`, 'pid', 'all')
    await is(1, 'No such process nobody\n', 'pid', 'nobody')
    await is(0, /^\d+\.\d+\.\d+\n$/, 'version')
    await is(0, new RegExp(`^${ticker} +in use +auto +999:999\\n$`), 'avail')
    await is(0, new RegExp(`^${ticker} +RUNNING`), 'status', `${ticker}:*`)
    await is(4, 'nobody: ERROR (no such group)\n', 'status', 'nobody:*')
    await is(2, 'nobody: ERROR (no such group)\n', 'start', 'nobody:*')
    await is(1, 'nobody: ERROR (no such group)\n', 'stop', 'nobody:*')
    await is(1, 'nobody: ERROR (no such process)\n', 'stop', 'nobody')
    await is(1, 'nobody: ERROR (no such process name)\n', 'tail', 'nobody')
    await is(1, `ERROR: process/group still running: ${ticker}\n`, 'remove', ticker)
    await is(0, 'ERROR: process group already active\n', 'add', ticker)
    await is(1, 'ERROR: no such process/group: nobody\n', 'add', 'nobody')
    await is(0, /"msg":"Regent is ready"/, 'tail', 'agent_manager')
    await is(0, /"msg":"Regent is ready"/, 'maintail')
    await is(0, /^.{10}\n\n$/s, 'maintail', '-11')
    await is(1, 'nobody: ERROR (no such process)\n', 'clear', 'nobody')
    await is(1, `${ticker}: ERROR (bad signal name)\n`, 'signal', 'FOO', ticker)
    await is(0, `${ticker}: signalled\n`, 'signal', 'HUP', ticker)
    await until(async () => (await supervisorctl(regent, 'tail', ticker)).stdout.includes('hup\n'), 'the word of its handler')
    await is(0, /^\d é <&>\n\n$/, 'tail', '-9', ticker)
    await is(0, `${ticker}: stopped\n`, 'stop', 'all')
    await is(7, '0\n', 'pid', ticker)
    await is(7, `${ticker}: ERROR (not running)\n`, 'signal', 'HUP', ticker)
    await is(1, 'ERROR: process not running\n', 'fg', ticker)
    await is(0, `${ticker}: removed process group\n`, 'remove', ticker)
    await is(4, `${ticker}: ERROR (no such process)\n`, 'status', ticker)
    await is(0, `${ticker}: available\n`, 'reread')
    await is(0, `${ticker}: added process group\n`, 'add', ticker)
    await is(0, `${ticker}: started\n`, 'start', 'all')
    await is(0, `${ticker}: stopped\n${ticker}: started\n`, 'restart', `${ticker}:*`)
    await is(0, 'No config updates to processes\n', 'reread')
  }, 120_000)

  it('prints and exits as it does before a supervisord, command by command [I3-RPC-01]', async () => {
    const regent = await Regent.start({ REGENT_STARTSECS: '0' })
    const ticker = await ticking(regent)
    const folder = await supervisord(daemon, ticker)
    const told = async (cwd: string, args: string[]) => {
      const { code, stdout } = await supervisorctl({ project: cwd }, ...args)
      return {
        args: args.join(' '),
        code,
        stdout: stdout.replace(/pid \d+, uptime \d:\d\d:\d\d/, 'pid N, uptime T').replace(/[A-Z][a-z]{2} \d\d \d\d:\d\d [AP]M/, 'DATE'),
      }
    }
    // 3: it answers, and the program does not run yet.
    await until(async () => (await told(folder, ['status', ticker])).code === 3, 'the supervisord')
    expect(await told(folder, ['start', ticker])).toMatchObject({ code: 0 })
    const differences: unknown[] = []
    for (const args of commandsOf(ticker)) {
      const [here, there] = await Promise.all([told(regent.project, args), told(folder, args)])
      if (here.code !== there.code || here.stdout !== there.stdout) differences.push({ here, there })
    }
    expect(differences).toEqual([])
  }, 240_000)

  it('an update restarts what runs with an older definition, and nothing else [I3-RPC-03]', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    const other = await ticking(regent, 'other')
    const pids = async () => (await supervisorctl(regent, 'pid', ticker, other)).stdout.trim().split('\n')
    const before = await pids()
    const changed = await regent.fetch('/api/v1/agents/ticker', {
      method: 'PATCH',
      body: JSON.stringify({ definition: { command: ['sh', '-c', 'echo changed; exec sleep 1000'] } }),
    })
    expect(changed.status).toBe(200)
    expect(await supervisorctl(regent, 'reread')).toMatchObject({ code: 0, stdout: `${ticker}: changed\n` })
    expect(await supervisorctl(regent, 'update')).toMatchObject({
      code: 0,
      stdout: `${ticker}: stopped\n${ticker}: updated process group\n`,
    })
    await until(async () => (await supervisorctl(regent, 'tail', ticker)).stdout.includes('changed\n'), 'its new words')
    const after = await pids()
    expect(after[0]).not.toBe(before[0])
    expect(after[1]).toBe(before[1])
    expect(await supervisorctl(regent, 'update')).toMatchObject({ code: 0, stdout: '' })
  })

  it('a program that cannot start is told as supervisord tells it', async () => {
    const regent = await Regent.start()
    expect((await regent.run('run', 'bad', '--', '/no/such/program')).code).not.toBeNull()
    await until(async () => (await regent.json<{ state: string }[]>('ps'))[0]?.state === 'FATAL', 'FATAL')
    const [{ owner } = { owner: '' }] = await regent.json<{ owner: string }[]>('ps')
    const bad = `${owner}_bad_agent`
    expect(await supervisorctl(regent, 'status')).toMatchObject({
      code: 3,
      stdout: expect.stringMatching(new RegExp(`^${bad} +FATAL +no such program`, 'm')),
    })
    expect(await supervisorctl(regent, 'start', bad)).toMatchObject({ code: 7, stdout: `${bad}: ERROR (spawn error)\n` })
    expect(await supervisorctl(regent, 'stop', bad)).toMatchObject({ code: 0, stdout: `${bad}: ERROR (not running)\n` })
  })

  it('[part of S0-13] knows a template agent by the name of its .ini', async () => {
    const regent = await Regent.start()
    expect((await regent.post('/agents', cryptoTrader({ backend: 'memory', channel_name: 'crypto' }))).status).toBe(200)
    const status = await supervisorctl(regent, 'status', 'alice_crypto_trader_agent')
    expect(status).toMatchObject({ code: 3, stdout: expect.stringMatching(/^alice_crypto_trader_agent +STOPPED +Not started\n$/) })
    expect(await supervisorctl(regent, 'reread')).toMatchObject({ code: 0, stdout: 'alice_crypto_trader_agent: available\n' })
    expect(await supervisorctl(regent, 'update')).toMatchObject({ code: 0, stdout: 'alice_crypto_trader_agent: added process group\n' })
    expect(await supervisorctl(regent, 'reread')).toMatchObject({ code: 0, stdout: 'No config updates to processes\n' })
    const started = await supervisorctl(regent, 'start', 'alice_crypto_trader_agent')
    expect(started).toMatchObject({ code: 0, stdout: 'alice_crypto_trader_agent: started\n' })
    // A team says what it does on its stderr, which its `.ini` redirects.
    await until(
      async () => /^\d{4}-\S+ info /m.test((await supervisorctl(regent, 'tail', 'alice_crypto_trader_agent')).stdout),
      'its output',
    )
  })
})

/** A supervisord of the machine with one program; answers the folder of its configuration. */
async function supervisord(daemon: string, program: string): Promise<string> {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'ticking.sh'), TICKING[2] ?? '')
  const conf = [
    ...['[unix_http_server]', `file=${folder}/sock`, '[supervisorctl]', `serverurl=unix://${folder}/sock`],
    ...['[supervisord]', 'nodaemon=true', `logfile=${folder}/log`, `pidfile=${folder}/pid`, `childlogdir=${folder}`],
    ...['[rpcinterface:supervisor]', 'supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface'],
    ...[`[program:${program}]`, `command=sh ${folder}/ticking.sh`, 'autostart=false', 'startsecs=0', `stdout_logfile=${folder}/out`, ''],
  ]
  writeFileSync(join(folder, 'supervisord.conf'), conf.join('\n'))
  const child = spawn(daemon, ['-n', '-c', join(folder, 'supervisord.conf')], { stdio: 'ignore' })
  onTestFinished(async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  return folder
}

/** Each is a start of Python twice over: one line for each answer that may differ. */
function commandsOf(ticker: string): string[][] {
  const group = `${ticker}:*`
  return [
    ...[
      ['status', ticker],
      ['status', group],
      ['status', ticker, 'nobody', 'nobody:*'],
    ],
    ...[
      ['start', ticker, group],
      ['start', 'all'],
      ['start', 'nobody', 'nobody:*'],
    ],
    ...[
      ['signal', 'HUP', ticker, group],
      ['signal', 'FOO', ticker],
      ['signal', 'FOO', group],
      ['signal', '1', 'nobody'],
      ['signal', 'HUP', 'all'],
    ],
    ...[
      ['pid', 'nobody'],
      ['tail', 'nobody'],
      ['tail', 'nobody', 'stderr'],
      ['clear', 'nobody'],
      ['fg', 'nobody'],
    ],
    ...[['reread'], ['update'], ['update', 'nobody'], ['add', ticker, 'nobody'], ['remove', ticker, 'nobody']],
    ...[
      ['restart', ticker, 'nobody'],
      ['restart', group],
      ['stop', group],
      ['stop', ticker, group],
      ['stop', 'nobody', 'nobody:*'],
      ['stop', 'all'],
    ],
    ...[
      ['status', ticker],
      ['pid', ticker],
      ['signal', 'HUP', ticker],
      ['signal', 'HUP', 'all'],
      ['fg', ticker],
    ],
    ...[['remove', ticker], ['status', ticker], ['start', ticker], ['pid', ticker], ['tail', ticker], ['reread'], ['add', ticker]],
    ...[
      ['start', 'all'],
      ['restart', 'all'],
      ['stop', 'all'],
    ],
  ]
}
