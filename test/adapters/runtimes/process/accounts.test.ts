import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, type TestContext } from 'vitest'
import type { ProcessRuntimeOptions } from '../../../../src/adapters/runtimes/process/options.ts'
import type { RunSpec, Runtime } from '../../../../src/ports/runtime.ts'
import { cryptoTrader } from '../../../helpers/crypto-trader.ts'
import { temporaryFolder } from '../../../helpers/folder.ts'
import { collectingLogger } from '../../../helpers/logs.ts'
import { linesOf, openRuntime, runtimeHome, specOf } from '../../../helpers/process-runtime.ts'
import { Regent } from '../../../helpers/regent.ts'
import { until } from '../../../helpers/until.ts'

const account = `regent-t${process.pid}`
const canMake = process.getuid?.() === 0 && existsSync('/usr/sbin/useradd') && existsSync('/usr/bin/setpriv')
const needed = 'only root can run agents under another account, with useradd and setpriv'
let uid = 0
let gid = 0

beforeAll(() => {
  if (!canMake) return
  execFileSync('useradd', ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', account])
  uid = Number(execFileSync('id', ['-u', account], { encoding: 'utf8' }))
  gid = Number(execFileSync('id', ['-g', account], { encoding: 'utf8' }))
})

afterAll(() => {
  if (canMake) execFileSync('userdel', [account])
})

/** A home that others may pass to, with a runtime whose agents have the account. */
async function place(over: Partial<ProcessRuntimeOptions> = {}): Promise<{ home: string; runtime: Runtime }> {
  const home = runtimeHome()
  return { home, runtime: await openRuntime(home, { user: account, passable: [home], ...over }) }
}

async function output(runtime: Runtime, spec: RunSpec): Promise<string[]> {
  expect(await (await runtime.start(spec)).exited).toMatchObject({ kind: 'exited' })
  await until(async () => (await linesOf(runtime, spec.agentId)).length > 0, 'its output')
  return linesOf(runtime, spec.agentId)
}

function skipUnless(context: TestContext, possible: boolean): void {
  if (!possible) context.skip(needed)
}

describe('an agent with an account of its own', () => {
  it('leaves a run that is Regent’s own as Regent is, with its HOME', async () => {
    if (!canMake) return
    const { home, runtime } = await place()
    const script = 'id -u; grep NoNewPrivs /proc/self/status; echo "$HOME"; id -u'
    const spec = specOf(['sh', '-c', script], { env: { PATH: '/usr/bin:/bin', HOME: home }, ownAccount: true })
    expect(await output(runtime, spec)).toEqual(['0', 'NoNewPrivs:\t0', home, '0'])
    expect(await output(runtime, specOf(['id', '-u']))).toEqual([String(uid)])
  })

  it.each(['A', 'B', 'C'] as const)(
    'has its uid and groups, no way back, and a HOME of its own, at stop level %s [S0-37]',
    async (stopLevel) => {
      if (!canMake) return
      const { home, runtime } = await place({ stopLevel })
      const script = 'id -u; id -G; grep NoNewPrivs /proc/self/status; pwd > "$HOME/here"; echo "$HOME"; cat "$REGENT_NOTE" "$HOME/here"'
      const note = join(home, 'notes', 'note')
      mkdirSync(join(home, 'notes'), { mode: 0o700 })
      writeFileSync(note, 'read\n', { mode: 0o600 })
      const spec = specOf(['sh', '-c', script], {
        env: { PATH: '/usr/bin:/bin', REGENT_NOTE: note },
        needs: { read: [note], write: [] },
      })
      const own = join(home, 'agents', spec.agentId, 'home')
      expect(await output(runtime, spec)).toEqual([String(uid), String(gid), 'NoNewPrivs:\t1', own, 'read', '/tmp'])
      expect(statSync(own)).toMatchObject({ uid, mode: 0o40700 })
      expect(statSync(note).mode & 0o7777).toBe(0o640)
      expect((await runtime.checks()).find(({ name }) => name === 'agent user')).toMatchObject({
        ok: true,
        message: `agents run as ${account}`,
      })
    },
  )

  it('gets its environment only when it has the account: nothing in it runs as root', async (context) => {
    skipUnless(context, canMake)
    const { home, runtime } = await place()
    const trap = join(home, 'trap.so')
    // The loader complains with the name of each program that it cannot give this to.
    const spec = specOf(['sh', '-c', 'exit 0'], { env: { PATH: '/usr/bin:/bin', LD_PRELOAD: trap } })
    expect((await output(runtime, spec)).every((line) => line.includes(trap))).toBe(true)
    expect((await linesOf(runtime, spec.agentId)).length).toBe(1)
  })

  it('is stopped, signalled and found again like any other', async (context) => {
    skipUnless(context, canMake)
    const { home, runtime } = await place()
    const spec = specOf(['sh', '-c', 'trap "exit 7" TERM; echo ready; while :; do sleep 0.02; done'])
    const run = await runtime.start(spec)
    await until(async () => (await linesOf(runtime, spec.agentId)).includes('ready'), 'the agent to be ready')
    await runtime.close()
    const again = await (await openRuntime(home, { user: account, passable: [home] })).reattach(run.handle)
    expect(await again?.stop({ signal: 'SIGTERM', graceMs: 10_000 })).toMatchObject({ exit: { kind: 'exited', code: 7 }, survivors: [] })
  })

  it('writes its state, and cannot put aside what is not its own there', async (context) => {
    skipUnless(context, canMake)
    const { home, runtime } = await place()
    const agentId = 'stateful'
    const state = join(home, 'agents', agentId)
    mkdirSync(join(state, 'old'), { recursive: true, mode: 0o700 })
    writeFileSync(join(state, 'old', 'journal'), 'old\n', { mode: 0o600 })
    const script = `cd ${state}; cat old/journal; echo new >> old/journal; echo x > fresh; mv runs aside 2> /dev/null || echo kept; ls runs 2> /dev/null || echo closed`
    const spec = specOf(['sh', '-c', script], { agentId, needs: { read: [], write: [state] } })
    expect(await output(runtime, spec)).toEqual(['old', 'kept', 'closed'])
    expect(readFileSync(join(state, 'old', 'journal'), 'utf8')).toBe('old\nnew\n')
  })

  it('cannot be started, with the remedy, where it could not reach what it needs; agents of `auto` run as root then, and that is told', async (context) => {
    skipUnless(context, canMake)
    const closed = temporaryFolder()
    const spec = specOf(['id', '-u'], { needs: { read: [join(closed, 'file')], write: [] } })
    writeFileSync(join(closed, 'file'), '')
    const { runtime } = await place()
    await expect(runtime.start(spec)).rejects.toMatchObject({
      code: 'START_FAILED',
      message: expect.stringContaining(closed),
      hint: expect.stringContaining('useradd'),
    })
    const logger = collectingLogger()
    const auto = await openRuntime(undefined, { user: 'auto', logger })
    expect(await output(auto, { ...spec, needs: { read: [], write: [] } })).toEqual(['0'])
    expect(logger.text()).toContain('agents run as root')
    expect((await auto.checks()).find(({ name }) => name === 'agent user')).toMatchObject({
      ok: false,
      message: expect.stringContaining('useradd'),
    })
  })

  it('may be one for each owner [I3-USER-01]', async (context) => {
    skipUnless(context, canMake)
    const { runtime } = await place({ user: 'per-owner' })
    expect(await output(runtime, specOf(['id', '-u'], { owner: account.slice('regent-'.length) }))).toEqual([String(uid)])
    await expect(runtime.start(specOf(['id', '-u'], { owner: 'nobody-of-that-name' }))).rejects.toMatchObject({
      code: 'START_FAILED',
      hint: expect.stringContaining('regent-nobody-of-that-name'),
    })
  })
})

/** Every file and folder below, with whatever the account could do with it. */
function openTo(dir: string): string[] {
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const test = ['--reuid', account, '--regid', account, '--clear-groups', '--', 'sh', '-c', '[ -r "$1" ] || [ -w "$1" ]', 'sh', path]
      try {
        execFileSync('setpriv', test, { stdio: 'ignore' })
        return true
      } catch {
        return false
      }
    })
}

describe('a team agent with an account of its own', () => {
  it('answers, and cannot read the database, the token, the key, the secrets, a socket or another run [F67]', async (context) => {
    skipUnless(context, canMake)
    const regent = Regent.prepare({ REGENT_AGENTS_USER: account })
    chmodSync(join(regent.project, '..'), 0o711)
    chmodSync(regent.project, 0o755)
    await regent.serve()
    for (const name of ['one', 'two']) {
      const team = cryptoTrader({ backend: 'memory', channel_name: name })
      expect((await regent.post('/agents', { ...team, name, initial_task: null })).status).toBe(200)
      expect((await regent.post(`/agents/${name}/start?username=alice`)).status).toBe(200)
      const reply = await regent.json<{ content: string }>('send', name, 'How is ETH doing?', '--wait')
      expect(reply.content).toContain('How is ETH doing?')
    }
    const [agent] = await regent.json<{ pid: number }[]>('ps')
    expect(readFileSync(`/proc/${agent?.pid}/status`, 'utf8')).toContain(`Uid:\t${uid}\t${uid}\t${uid}\t${uid}\n`)
    const open = openTo(regent.home).map((path) => path.slice(regent.home.length + 1))
    const own = /^(agents\/[^/]+(\/(?!runs).*)?|runs\/[^/]+\/link\.json)$/
    expect(open.filter((path) => own.test(path)).length).toBeGreaterThan(0)
    expect(open.filter((path) => !own.test(path))).toEqual([])
    // It goes on with its link after Regent came back.
    await regent.kill()
    await regent.serve()
    expect((await regent.json<{ content: string }>('send', 'one', 'And BTC?', '--wait')).content).toContain('And BTC?')
  })
})
