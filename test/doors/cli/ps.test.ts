import { describe, expect, it } from 'vitest'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentView } from '../../helpers/views.ts'

const agents = [
  agentView({ id: '22222222-0000-4000-8000-000000000000', owner: 'bo', name: 'queen', kind: 'team', activity: 'needs_input', queued: 2 }),
  agentView({
    id: '11111111-0000-4000-8000-000000000000',
    name: 'crypto_trader',
    kind: 'team',
    state: 'FATAL',
    reason: 'died 4 times before RUNNING',
    pid: null,
    uptime_ms: null,
    restarts: 3,
    usage: { model_calls: 3, input_tokens: 100, output_tokens: 20, cost_usd: 0.4 },
  }),
  agentView(),
]

const listed = () => fakeRegent({ 'agents.list': () => ({ agents, next_cursor: null }) })

describe('regent ps', () => {
  it('lists agents in a table, sorted, without colour on a pipe', async () => {
    const regent = await listed()
    const { code, stdout, stderr } = await regent.run(['ps'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatchInlineSnapshot(`
      "NAME           OWNER  KIND     STATE    ACTIVITY      PID  UPTIME  RESTARTS  QUEUE   COST  MESSAGE
      crypto_trader  alice  team     FATAL    -               -       -         3      0  $0.40  died 4 times before RUNNING
      news           alice  command  RUNNING  -            4242    1h2m         0      0      -
      queen          bo     team     RUNNING  needs_input  4242    1h2m         0      2      -  waits for an approval: regent approvals
      "
    `)
    expect(regent.api.requests[0]?.headers.authorization).toBe('Bearer token-of-home')
  })

  it('[I2-CLI-04] prints JSON with the promised fields, and only JSON, on stdout', async () => {
    const regent = await listed()
    const { stdout } = await regent.run(['ps', '--json'])
    const parsed = JSON.parse(stdout)
    expect(parsed.map(({ name }: { name: string }) => name)).toEqual(['crypto_trader', 'news', 'queen'])
    const promised = [
      'id',
      'owner',
      'name',
      'kind',
      'runtime',
      'state',
      'activity',
      'pid',
      'restarts',
      'uptime_ms',
      'exit_code',
      'exit_signal',
    ]
    for (const agent of parsed) expect(Object.keys(agent)).toEqual(expect.arrayContaining(promised))
  })

  it('says beside the state what probes have against an agent, and that one is stalled', async () => {
    const seen = [
      agentView({ name: 'hung', health: 'unhealthy', ready: false }),
      agentView({ name: 'new', health: 'unknown', ready: false }),
      agentView({ name: 'well', health: 'healthy', ready: true, activity: 'stalled' }),
      agentView({ name: 'young', state: 'STARTING', health: 'unknown', ready: false }),
    ]
    const regent = await fakeRegent({ 'agents.list': () => ({ agents: seen, next_cursor: null }) })
    const { stdout } = await regent.run(['ps'])
    expect(stdout).toMatch(/hung .*RUNNING \(unhealthy\) /)
    expect(stdout).toMatch(/new .*RUNNING \(not ready\) /)
    expect(stdout).toMatch(/well .*RUNNING {2}.*stalled/)
    expect(stdout).toMatch(/young .*STARTING {2}/)
  })

  it('prints an empty list as []', async () => {
    const regent = await fakeRegent({ 'agents.list': () => ({ agents: [], next_cursor: null }) })
    expect(await regent.run(['ps', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' })
    const { stdout, stderr } = await regent.run(['ps'])
    expect(stdout).toBe('')
    expect(stderr).toContain('regent create -f FILE')
  })

  it('[I2-CLI-12] prints YAML, names and ids', async () => {
    const regent = await listed()
    expect((await regent.run(['ls', '-o', 'yaml'])).stdout).toContain('- id: 11111111-0000-4000-8000-000000000000\n  owner: alice\n')
    expect((await regent.run(['list', '-o', 'name'])).stdout).toBe('alice/crypto_trader\nalice/news\nbo/queen\n')
    expect((await regent.run(['ps', '-q', 'queen'])).stdout).toBe('22222222-0000-4000-8000-000000000000\n')
    expect((await regent.run(['ps', '-o', 'wide'])).stdout).toContain('RUNTIME')
  })

  it('follows the pages of a long list', async () => {
    const regent = await fakeRegent({
      'agents.list': ({ cursor }) =>
        cursor === 'second' ? { agents: [agents[0]], next_cursor: null } : { agents: [agents[1]], next_cursor: 'second' },
    })
    expect((await regent.run(['ps', '-o', 'name', '--owner', 'alice'])).stdout).toBe('alice/crypto_trader\nbo/queen\n')
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      { limit: '500', owner: 'alice' },
      { limit: '500', owner: 'alice', cursor: 'second' },
    ])
  })

  it('[I2-CLI-05] takes names, owner/name, id prefixes and globs, and suggests for what is not there', async () => {
    const regent = await listed()
    expect((await regent.run(['ps', '-o', 'name', 'bo/queen', '1111', 'n*'])).stdout).toBe('alice/crypto_trader\nalice/news\nbo/queen\n')
    const missing = await regent.run(['ps', 'quen'])
    expect(missing).toMatchObject({ code: 4, stdout: '' })
    expect(missing.stderr).toContain('there is no agent quen\nhint: did you mean queen?')
  })

  it('exits with 3 as `status` when one of the named does not run, and without a server', async () => {
    const regent = await listed()
    expect((await regent.run(['status', 'news'])).code).toBe(0)
    expect((await regent.run(['status', 'news', 'crypto_trader'])).code).toBe(3)
    expect((await regent.run(['ps', 'crypto_trader'])).code).toBe(0)
    const none = await regent.run(['ps'], { env: { REGENT_HOME: `${regent.home}/none` } })
    expect(none).toMatchObject({ code: 3, stdout: '' })
    expect(none.stderr).toContain('start one with `regent serve`')
  })

  it('[I2-CLI-12] colours states where colour is forced, and not with NO_COLOR', async () => {
    const regent = await listed()
    const coloured = (await regent.run(['ps'], { env: { FORCE_COLOR: '1' } })).stdout
    expect(coloured).toContain('\x1b[31mFATAL\x1b[39m')
    expect((await regent.run(['ps'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout).not.toContain('\x1b')
  })

  it('lets no agent move the cursor', async () => {
    const regent = await fakeRegent({
      'agents.list': () => ({ agents: [agentView({ state: 'FATAL', reason: 'bad\x1b[2J\nnews' })], next_cursor: null }),
    })
    expect((await regent.run(['ps'])).stdout).toContain('bad [2J news')
  })
})

const taking = (cpu: number | null, mebibytes: number) => ({
  ...{ at: 0, memory_bytes: mebibytes * 2 ** 20, cpu_percent: cpu, cpu_seconds: 1, processes: 2, open_files: 9 },
})

describe('what agents take', () => {
  const busy = [
    agentView({ id: 'a', name: 'idle', resources: taking(0.2, 12.5) }),
    agentView({ id: 'b', name: 'busy', resources: taking(98.7, 2048) }),
    agentView({ id: 'c', name: 'fresh', resources: taking(null, 1) }),
    agentView({ id: 'd', name: 'off', state: 'STOPPED', reason: 'stopped as asked', pid: null, uptime_ms: null }),
  ]
  const fleet = () => fakeRegent({ 'agents.list': () => ({ agents: busy, next_cursor: null }) })

  it('is in ps, and with processes and files in the wide one', async () => {
    const regent = await fleet()
    const rows = (await regent.run(['ps'])).stdout.split('\n').map((line) => line.split(/ {2,}/))
    const [cpu, memory] = ['CPU', 'MEM'].map((title) => rows[0]?.indexOf(title) ?? -1)
    expect(rows.slice(1, 5).map((row) => [row[0], row[cpu ?? 0], row[memory ?? 0]])).toEqual([
      ['busy', '99%', '2.0GiB'],
      ['fresh', '-', '1.0MiB'],
      ['idle', '0.2%', '13MiB'],
      ['off', '-', '-'],
    ])
    expect((await regent.run(['ps', '-o', 'wide'])).stdout).toMatch(/PROCS +FILES/)
    expect(JSON.parse((await regent.run(['ps', '--json'])).stdout)[0].resources).toEqual(busy[1]?.resources)
  })

  it('is shown by top with the hungriest first, once where nobody watches', async () => {
    const regent = await fleet()
    const { stdout } = await regent.run(['top'])
    const [totals, , , ...rows] = stdout.trimEnd().split('\n')
    expect(totals).toBe('4 agents, 3 live   CPU 98.9%   MEM 2.0GiB   6 processes')
    expect(rows.map((row) => row.split(' ')[0])).toEqual(['busy', 'idle', 'fresh', 'off'])
    expect((await regent.run(['monit', '--sort', 'name'])).stdout).toMatch(/busy[\s\S]*fresh[\s\S]*idle/)
    expect(JSON.parse((await regent.run(['top', '--json'])).stdout).map(({ name }: { name: string }) => name)[0]).toBe('busy')
  })
})
