import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { type Ran, Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'

const TICKING = ['sh', '-c', 'trap "echo hup" HUP; i=0; while :; do i=$((i+1)); echo "tick $i é <&>"; sleep 0.1; done']

describeWith('supervisor', 'the stock supervisorctl', ({ url: program }) => {
  /** Bare, in the project's folder, as a person types it. */
  function supervisorctl(regent: Regent, ...args: string[]): Promise<Ran> {
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

  it('follows output', async () => {
    const regent = await Regent.start()
    const ticker = await ticking(regent)
    expect(await follow(regent, /tick 15 /, 'tail', '-f', ticker)).toContain('tick 14 é <&>\ntick 15 é <&>')
    expect(await follow(regent, /404/, 'tail', '-f', 'nobody')).toContain('status code 404')
    expect(await follow(regent, /is served/, 'maintail', '-f')).toContain('Regent is ready')
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
