import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { approvalView, completedWorker, workerView } from '../../helpers/views.ts'

const all = [
  workerView({ pending_permissions: 1, label: 'tidy' }),
  completedWorker({ id: '4444aaaa-0000-4000-8000-000000000002', model: 'haiku', turn: 2, branch: 'regent/4444aaaa' }),
  workerView({ id: '5555aaaa-0000-4000-8000-000000000003', state: 'failed', failure: 'Exit code 1', prompt: 'Break it' }),
  workerView({ id: '01a23220-f9ab-7a22-ba19-0123456789ab', state: 'queued', reason: 'waits: 10 of 10 run' }),
]
const listing = (workers = all) => fakeRegent({ 'workers.list': () => ({ workers, next_cursor: null }) })
const asked = (regent: Awaited<ReturnType<typeof listing>>) => regent.api.requests.map(({ input }) => input)

describe('regent workers, worker ls', () => {
  it('lists those that are active or whose end nobody was told, of this folder', async () => {
    const regent = await listing()
    const cwd = temporaryFolder()
    expect(await regent.run(['workers'], { cwd })).toMatchObject({ code: 0, stderr: '' })
    expect((await regent.run(['worker', 'ls'], { cwd })).stdout).toMatchInlineSnapshot(`
      "ID                       AGENT         STATE           TURN  TIME   COST  LABEL/PROMPT         WHY
      3f2c1a9e                 claude        running (asks)     1     -      -  tidy                 waits for an approval: regent approvals
      4444aaaa                 claude haiku  completed          2   12s  $0.03  What is the answer?
      5555aaaa                 claude        failed             1     -      -  Break it             Exit code 1
      01a23220-f9ab-7a22-ba19  claude        queued             1     -      -  What is the answer?  waits: 10 of 10 run
      "
    `)
    expect(asked(regent)).toEqual(Array(2).fill({ namespace: `cli:${cwd}`, claimed: 'false', limit: '500' }))
  })

  it('lists others as asked, page by page', async () => {
    const regent = await fakeRegent({
      'workers.list': ({ cursor }) => ({ workers: cursor ? [all[1]] : [all[0]], next_cursor: cursor ? null : 'more' }),
    })
    expect((await regent.run(['workers', '-a', '-A', '-q'])).stdout).toBe(`${all[0]?.id}\n${all[1]?.id}\n`)
    expect(asked(regent)).toEqual([{ limit: '500' }, { limit: '500', cursor: 'more' }])
    await regent.run(['workers', '--state', 'running,failed', '--namespace', 'n', '-o', 'name'])
    expect(asked(regent).at(-1)).toMatchObject({ states: 'running,failed', namespace: 'n' })
    expect(await regent.run(['workers', '--state', 'gone'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('limited, completed'),
    })
  })

  it('prints JSON, wide tables, and [] without colour or remark', async () => {
    const regent = await listing()
    expect(JSON.parse((await regent.run(['workers', '-o', 'json'])).stdout)).toEqual(all)
    expect((await regent.run(['workers', '-o', 'wide'])).stdout).toMatch(/^ID .*FULL ID .*BRANCH .*\n.*\n.*regent\/4444aaaa/)
    expect((await regent.run(['workers'], { env: { FORCE_COLOR: '1' } })).stdout).toContain('\x1b[32mcompleted')
    expect((await regent.run(['workers'], { env: { FORCE_COLOR: '1', NO_COLOR: '1' } })).stdout).not.toContain('\x1b')
    expect(await (await listing([])).run(['workers', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' })
  })

  it('says where others are when there are none here', async () => {
    const regent = await fakeRegent({
      'workers.list': ({ namespace }) => ({ workers: namespace === undefined ? all : [], next_cursor: null }),
    })
    const { code, stdout, stderr } = await regent.run(['workers'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
    expect(stderr).toBe("no workers here: `regent worker run 'PROMPT'`\nthere are others in other namespaces: `regent workers -A`\n")
    expect((await (await listing([])).run(['workers'])).stderr).not.toContain('-A')
  })
})

describe('regent worker show, output', () => {
  it('tells everything about one, and several as a list', async () => {
    const told = completedWorker({ budget: { usd: 2, seconds: 60 }, output_file: '/h/logs/worker-x.json', result: 'a\nb', claimed: true })
    const regent = await fakeRegent({ 'workers.get': ({ worker }) => ({ ...told, id: String(worker) }) })
    expect((await regent.run(['worker', 'show', told.id])).stdout).toMatchInlineSnapshot(`
      "id:       3f2c1a9e-0000-4000-8000-000000000001
      agent:    claude
      state:    completed: has answered
      exit:     0
      turn:     1
      owner:    alice, namespace default
      folder:   /home/alice/project
      session:  session-1
      created:  2023-11-14 22:13:20
      ran:      12s of at most 5m a turn
      used:     1200 tokens in, 34 out, $0.03
      budget:   $2, 1m of running
      output:   /h/logs/worker-x.json
      told:     yes
      prompt:
        What is the answer?
      result:
        a
        b
      "
    `)
    expect(JSON.parse((await regent.run(['worker', 'show', told.id, '--json'])).stdout)).toEqual(told)
    expect(JSON.parse((await regent.run(['worker', 'show', 'a', 'b', '--json'])).stdout)).toMatchObject([{ id: 'a' }, { id: 'b' }])
  })

  it('says that there is none, with 4', async () => {
    const regent = await fakeRegent({
      'workers.get': () => {
        throw new RegentError('NOT_FOUND', "there is no worker 'zzzz'", { hint: 'list them with: regent workers -a' })
      },
    })
    expect(await regent.run(['worker', 'show', 'zzzz'])).toMatchObject({
      code: 4,
      stdout: '',
      stderr: expect.stringContaining('workers -a'),
    })
  })

  it('prints what it printed, page by page', async () => {
    const pages = ['{"type":"x"}\n', 'plain\n']
    const regent = await fakeRegent({
      'workers.output': ({ from }) => ({
        ...{ text: pages[Number(from)] ?? '', from: Number(from), next: Number(from) + 1, more: Number(from) === 0, ended: false },
      }),
      'workers.document': () => ({ stdout: '{"result":"42"}', stderr: 'oops\n' }),
    })
    expect(await regent.run(['worker', 'output', '3f2c'])).toEqual({ code: 0, stdout: '{"type":"x"}\nplain\n', stderr: '' })
    expect(asked(regent)).toMatchObject([{ worker: '3f2c', from: '0', stream: 'stdout' }, { from: '1' }])
    const json = await regent.run(['worker', 'output', '3f2c', '--stderr', '--turn', '2', '--json'])
    expect(JSON.parse(json.stdout)).toEqual({ worker: '3f2c', stream: 'stderr', text: '{"type":"x"}\nplain\n' })
    expect(asked(regent).at(-1)).toMatchObject({ stream: 'stderr', turn: '2' })
    expect((await regent.run(['worker', 'output', '3f2c', '--document'])).stdout).toBe('{"result":"42"}\n')
  })
})

describe('regent worker rm', () => {
  const removing = () =>
    fakeRegent({
      'workers.get': ({ worker }) => all.find(({ id }) => id.startsWith(String(worker))) ?? completedWorker(),
      'workers.list': () => ({ workers: all, next_cursor: null }),
      'workers.delete': ({ worker }) => ({ id: worker, deleted: true }),
    })
  const removed = (regent: Awaited<ReturnType<typeof removing>>) =>
    regent.api.requests.filter(({ operation }) => operation === 'workers.delete').map(({ input }) => String(input.worker).slice(0, 4))

  it('removes one without a worktree at once, and asks before one with it', async () => {
    const regent = await removing()
    expect(await regent.run(['worker', 'rm', '5555'])).toEqual({ code: 0, stdout: '5555aaaa  removed\n', stderr: '' })
    const refused = await regent.run(['worker', 'rm', '4444'])
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('with its worktree, and what is not committed there?') })
    expect((await regent.run(['worker', 'rm', '-y', '4444', '-o', 'name'])).stdout).toBe(`${all[1]?.id}\n`)
    expect(removed(regent)).toEqual(['5555', '4444'])
  })

  it('removes all that have ended, and no others', async () => {
    const regent = await removing()
    expect(JSON.parse((await regent.run(['worker', 'rm', 'all', '-y', '--json'])).stdout)).toHaveLength(2)
    expect(removed(regent)).toEqual(['4444', '5555'])
  })

  it('says why one stays', async () => {
    const regent = await removing()
    regent.api.on('workers.delete', () => {
      throw new RegentError('ILLEGAL_STATE', 'worker 3f2c is still running', { hint: 'cancel it first' })
    })
    expect(await regent.run(['worker', 'rm', '3f2c'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('cancel it first'),
    })
  })
})

describe('approvals of workers', () => {
  it('are listed among the others, by the name of their tool', async () => {
    const id = '3f2c1a9e-0000-4000-8000-000000000001'
    const asking = approvalView({ agent: 'alice/worker 3f2c1a9e', agent_id: null, worker_id: id, server: 'permissions', tool: 'Bash' })
    const regent = await fakeRegent({
      'approvals.list': () => ({ approvals: [asking, approvalView({ id: '8888aaaa-0000-4000-8000-000000000001' })] }),
      'approvals.approve': () => ({ ...asking, state: 'confirmed' }),
      'workers.get': () => workerView({ id }),
    })
    expect((await regent.run(['approvals'])).stdout).toMatch(/^7e3c1a9e {2}alice\/worker 3f2c1a9e {2}Bash {9}pending/m)
    expect(JSON.parse((await regent.run(['approvals', '--worker', '3f2c', '--json'])).stdout)).toMatchObject([{ worker_id: id }])
    expect((await regent.run(['approve', '7e3c'])).stdout).toContain('alice/worker 3f2c1a9e  Bash  confirmed')
  })
})

describe('completion', () => {
  it('offers workers in fitting states, races, coding agents and states', async () => {
    const regent = await fakeRegent({
      'workers.list': ({ states }) => ({ workers: all.filter(({ state }) => String(states).includes(state)), next_cursor: null }),
      'races.list': () => ({
        races: [{ id: '5ace1a9e-0000-4000-8000-000000000001', state: 'decided', prompt: 'x\ny' }],
        next_cursor: null,
      }),
    })
    const offers = async (...words: string[]) => (await regent.run(['complete', '--', ...words])).stdout.trimEnd().split('\n').slice(0, -1)
    expect(await offers('peek', '4')).toEqual(['4444aaaa\tcompleted What is the answer?'])
    expect(await offers('cancel', '')).toEqual(['3f2c1a9e\trunning tidy', '01a23220-f9ab-7a22-ba19\tqueued What is the answer?'])
    expect(await offers('resume', '')).toEqual(['4444aaaa\tcompleted What is the answer?', '5555aaaa\tfailed Break it'])
    expect(await offers('worker', 'show', '3')).toEqual(['3f2c1a9e\trunning tidy'])
    expect(await offers('worker', 'rm', '3')).toEqual([])
    expect(await offers('races', 'show', '')).toEqual(['5ace1a9e\tdecided x y'])
    expect((await offers('worker', 'run', '--agent', 'c')).map((line) => line.trim())).toEqual(['claude', 'codex', 'command'])
    expect((await offers('workers', '--state', 'l')).map((line) => line.trim())).toEqual(['limited'])
  })
})
