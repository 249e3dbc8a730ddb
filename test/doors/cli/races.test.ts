import { describe, expect, it } from 'vitest'
import type { RaceView } from '../../../src/contract/workers.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { type FakeRegent, fakeRegent } from '../../helpers/run-cli.ts'
import { completedWorker, eventView, raceView, systemStatus, workerView } from '../../helpers/views.ts'

const second = '4444aaaa-0000-4000-8000-000000000002'
const winner = completedWorker({ branch: 'regent/3f2c1a9e', model: 'haiku' })
const running = raceView({
  attempts: [
    { worker: workerView({ model: 'haiku' }), verdict: 'waiting', score: null, judged_by: null },
    { worker: workerView({ id: second, model: 'sonnet' }), verdict: 'waiting', score: null, judged_by: null },
  ],
})
const decided = raceView({
  ...{ state: 'decided', reason: 'its score is the highest: 7', judge: { by: 'score', command: 'wc -l', timeout: 600 }, winner },
  attempts: [
    { worker: winner, verdict: 'won', score: 7, judged_by: null },
    {
      worker: workerView({ id: second, model: 'sonnet', state: 'failed', failure: 'Exit code 1' }),
      verdict: 'failed',
      score: null,
      judged_by: null,
    },
  ],
  usage: { input_tokens: 1, output_tokens: 1, cost_usd: 0.05, run_seconds: 20 },
})

/** A Regent whose race is decided after the first event. */
async function racing(states: RaceView[] = [running, decided]): Promise<FakeRegent> {
  return fakeRegent({
    'races.create': () => running,
    'races.get': () => (states.length > 1 ? states.shift() : states[0]) as RaceView,
    'system.status': () => systemStatus(),
    async *'events.stream'() {
      yield { id: '8', data: { kind: 'event', event: eventView({ type: 'worker.completed' }) } }
      await new Promise(() => {})
    },
  })
}
const given = (regent: FakeRegent) => regent.api.requests.find(({ operation }) => operation === 'races.create')?.input.race

describe('regent race', () => {
  it('shows each attempt as it changes, then the winner, its place and its answer', async () => {
    const regent = await racing()
    const { code, stdout, stderr } = await regent.run(['race', 'What is it?'])
    expect(code).toBe(0)
    expect(stdout).toBe('winner  3f2c1a9e  claude haiku\nfolder  /home/alice/project\nbranch  regent/3f2c1a9e\n42\n')
    expect(stderr.split('\n')).toEqual([
      '3f2c1a9e  claude haiku  running',
      '4444aaaa  claude sonnet  running',
      '3f2c1a9e  claude haiku  completed  won  score 7  12s  $0.03',
      '4444aaaa  claude sonnet  failed  Exit code 1',
      'race 5ace1a9e  decided  2 attempts, judged by wc -l  $0.05',
      '',
    ])
    const [stream] = regent.api.requests.filter(({ operation }) => operation === 'events.stream')
    expect(String(stream?.input.types)).toContain('race.judged')
  })

  it('has three attempts by the first who completes, as the caller', async () => {
    const regent = await racing([decided])
    const cwd = temporaryFolder()
    expect(JSON.parse((await regent.run(['race', 'x', '--json'], { cwd, env: { OPENAI_API_KEY: 'k' } })).stdout)).toEqual(decided)
    expect(given(regent)).toEqual({
      ...{ prompt: 'x', n: 3, namespace: `cli:${cwd}` },
      worker: { cwd, env: { PATH: process.env.PATH, HOME: cwd, OPENAI_API_KEY: 'k', TZ: 'UTC' } },
    })
  })

  it.each([
    [['--model', 'a', '--model', 'b'], { n: 2, variants: [{ model: 'a' }, { model: 'b' }] }],
    [['-n', '4', '--agent', 'claude', '--agent', 'codex'], { n: 4, variants: [{ agent: 'claude' }, { agent: 'codex' }] }],
    [['--agent', 'codex', '--model', 'a'], { n: 3, variants: [{ agent: 'codex', model: 'a' }] }],
    [['--judge', 'npm test', '--worktree'], { judge: { by: 'command', command: 'npm test' }, worker: { worktree: true } }],
    [['--no-worktree'], { worker: { worktree: false } }],
    [['--score', 'wc -l', '--judge-timeout', '1m'], { judge: { by: 'score', command: 'wc -l', timeout: 60 } }],
    [['--judge-model', 'opus', '--criteria', 'short'], { judge: { by: 'model', model: 'opus', criteria: 'short' } }],
    [['--judge-agent', 'codex', '--timeout', '1m'], { judge: { by: 'model', agent: 'codex' }, worker: { timeout: 60 } }],
    [
      ['--agent', 'command', '--', 'sh', '-c', 'x'],
      { prompt: 'x', variants: [{ agent: 'command' }], worker: { command: ['sh', '-c', 'x'] } },
    ],
  ])('understands %j', async (words, race) => {
    const regent = await racing()
    expect(await regent.run(['race', '--no-wait', 'x', ...words])).toMatchObject({ code: 0, stderr: '' })
    expect(given(regent)).toMatchObject(race)
  })

  it('returns at once with --no-wait', async () => {
    const regent = await racing()
    expect((await regent.run(['race', '--no-wait', 'x'])).stdout).toBe('race 5ace1a9e  running  2 attempts, judged by first\n')
    expect((await regent.run(['race', '--no-wait', 'x', '-o', 'name'])).stdout).toBe(`${running.id}\n`)
    expect((await regent.run(['race', 'x', '-o', 'name'])).stdout).toBe(`${winner.id}\n`)
  })

  it('fails where nobody has won, and says why', async () => {
    const regent = await racing([raceView({ state: 'failed', reason: 'no attempt has answered' })])
    expect(await regent.run(['race', 'x'])).toMatchObject({ code: 1, stdout: 'failed: no attempt has answered\n' })
    regent.api.on('races.create', () => {
      throw new RegentError('INVALID', 'race.n must be at most 50')
    })
    expect(await regent.run(['race', 'x'])).toMatchObject({ code: 1, stdout: '' })
  })

  it.each([
    [[], 'there is no prompt'],
    [['x', '--judge', 'a', '--score', 'b'], 'one judge is enough'],
    [['x', '--agent', 'command'], 'needs a program behind --'],
    [['x', '-n', 'many'], "'many' is not a whole number"],
  ])('refuses %j with 2', async (words, message) => {
    const { code, stderr } = await (await racing()).run(['race', ...words])
    expect({ code, told: stderr.includes(message) ? message : stderr }).toEqual({ code: 2, told: message })
  })
})

describe('regent races', () => {
  const listing = (races = [decided, running]) =>
    fakeRegent({
      'races.list': () => ({ races, next_cursor: null }),
      'races.get': () => decided,
      'races.cancel': () => ({ ...running, state: 'cancelled' }),
    })

  it('lists those of this folder', async () => {
    const regent = await listing()
    expect((await regent.run(['races'])).stdout).toMatchInlineSnapshot(`
      "ID        STATE    ATTEMPTS  JUDGE   COST  WINNER    STARTED              PROMPT
      5ace1a9e  decided         2  wc -l  $0.05  3f2c1a9e  2023-11-14 22:13:20  What is the answer?
      5ace1a9e  running         2  first      -  -         2023-11-14 22:13:20  What is the answer?
      "
    `)
    expect(JSON.parse((await regent.run(['races', '--json', '-A', '--running'])).stdout)).toEqual([decided, running])
    expect(regent.api.requests.at(-1)?.input).toEqual({ limit: '100', states: 'running,judging' })
    expect(await (await listing([])).run(['races', 'ls', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' })
  })

  it('shows one with its attempts, and cancels one', async () => {
    const regent = await listing()
    expect((await regent.run(['races', 'show', '5ace'])).stdout).toMatchInlineSnapshot(`
      "race 5ace1a9e  decided  2 attempts, judged by wc -l  $0.05
      ATTEMPT   AGENT          STATE      VERDICT  SCORE  TIME   COST  WHY
      3f2c1a9e  claude haiku   completed  won          7   12s  $0.03
      4444aaaa  claude sonnet  failed     failed       -     -      -  Exit code 1
      winner  3f2c1a9e  claude haiku
      folder  /home/alice/project
      branch  regent/3f2c1a9e
      42
      "
    `)
    expect(JSON.parse((await regent.run(['races', 'show', '5ace', '--json'])).stdout)).toEqual(decided)
    expect((await regent.run(['races', 'cancel', '5ace'])).stdout).toBe('race 5ace1a9e  cancelled  2 attempts, judged by first\n')
  })
})

describe('regent budget', () => {
  it('tells what was spent and may be', async () => {
    const budget = {
      owner: 'alice',
      spent: { usd: 1.9, tokens: 12_000, seconds: 3700 },
      limits: { usd: 2, tokens: null, seconds: 3600 },
    }
    const regent = await fakeRegent({ 'workers.budget': () => budget })
    expect((await regent.run(['budget'])).stdout).toMatchInlineSnapshot(`
      "WHAT     SPENT  LIMIT  USED
      money    $1.90  $2.00   95%
      tokens   12000      -     -
      running   1h1m     1h  103%
      "
    `)
    expect((await regent.run(['budget'], { env: { FORCE_COLOR: '1' } })).stdout).toContain('\x1b[33m95%')
    expect(JSON.parse((await regent.run(['budget', '--owner', 'bo', '--json'])).stdout)).toEqual(budget)
    expect(regent.api.requests.at(-1)?.input).toEqual({ owner: 'bo' })
  })
})
