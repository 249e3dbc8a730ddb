import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { OutBody } from '../../src/contract/link.ts'
import { isUuid } from '../../src/kernel/ids.ts'
import type { Runner } from '../../src/runner/runner.ts'
import { fakeModels, planDone, planFor } from '../helpers/fake-models.ts'
import { FakeTools } from '../helpers/fake-tools.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { LinkServer, type RowOf } from '../helpers/link-server.ts'
import { type RunnerSetup, say, startRunner } from '../helpers/team-runner.ts'
import { until } from '../helpers/until.ts'

const bodies = (runner: Runner): OutBody[] => runner.journal.state.out.map((row) => row.body)
const models = () =>
  fakeModels((request) => {
    if (request.purpose === 'plan') return request.facts?.round === 1 ? planFor('finder') : planDone
    if (request.purpose !== 'work') return 'end'
    return request.turns.some((turn) => turn.role === 'tool') ? 'done' : { calls: [{ tool: 'fetch', args: { url: 'http://x/' } }] }
  })

function setup(rule: object, over: Partial<RunnerSetup> = {}) {
  const tools = new FakeTools({ web: { fetch: { run: () => 'page' } } })
  const fakes = models()
  const config = { mcp: { servers: { web: { command: 'web', tool_calls: [{ name: 'fetch', ...rule }] } } } }
  const options = {
    models: fakes,
    tools,
    subagents: [{ name: 'finder', instruction: 'Find.', servers: ['web'] }],
    config,
    terminal: true,
    ...over,
  }
  return { tools, fakes, start: () => startRunner(options) }
}

async function asked(runner: Runner): Promise<string> {
  await until(() => runner.approvals.pending.length > 0, 'an approval to be asked for')
  return runner.approvals.pending[0]?.id ?? ''
}
const resultOf = (runner: Runner): unknown => {
  const row = bodies(runner).find((body): body is RowOf<'say'> => body.kind === 'say' && body.type === 'tool_result')
  return row?.content
}
const rejected = { content: [{ type: 'text', text: "Tool call to 'fetch' was rejected" }], isError: true }
const page = { content: [{ type: 'text', text: 'page' }], isError: false }

describe('a tool that seeks to be confirmed', () => {
  it('runs when somebody confirms it, and the tool server is told so [S0-18]', async () => {
    const { tools, start } = setup({ seek_confirm: true })
    const runner = await start()
    const worked = say(runner, 'go')
    const id = await asked(runner)
    expect(isUuid(id)).toBe(true)
    expect(runner.activity).toBe('needs_input')
    expect(tools.calls).toEqual([])
    const announced = bodies(runner).find((body) => body.kind === 'approval_requested')?.approval
    expect(announced).toMatchObject({
      id,
      subagent: 'finder',
      server: 'web',
      tool: 'fetch',
      arguments: { url: 'http://x/' },
      default: 'reject',
    })
    expect((announced?.expires_at ?? 0) - (announced?.requested_at ?? 0)).toBe(120_000)

    expect(await runner.approvals.answer(id, true, 'ann', 'test')).toEqual({ outcome: 'accepted', confirmed: true, by: 'ann' })
    expect(runner.activity).toBe('working')
    await worked
    expect(tools.calls).toEqual([{ server: 'web', tool: 'fetch', args: { url: 'http://x/' }, approved: true }])
    expect(bodies(runner)).toContainEqual({ kind: 'approval_closed', id, confirmed: true, by: 'ann', via: 'test' })
    expect(resultOf(runner)).toEqual(page)
  })

  it('does not run when somebody rejects it; the model is told in the words of the contract [S0-18]', async () => {
    const { tools, start, fakes } = setup({ seek_confirm: true, default: 'confirm' })
    const runner = await start()
    const worked = say(runner, 'go')
    await runner.approvals.answer(await asked(runner), false, 'ann', 'test')
    await worked
    expect(tools.calls).toEqual([])
    expect(resultOf(runner)).toEqual(rejected)
    const told = fakes.asked.findLast((request) => request.purpose === 'work')?.turns.at(-1)
    expect(told).toMatchObject({ role: 'tool', text: "Tool call to 'fetch' was rejected", isError: true })
  })

  it.each([
    ['reject', rejected, 0],
    ['confirm', page, 1],
  ] as const)(
    'takes its default, %s, when its time is over; a later answer changes nothing [I2-APR-02] [F77]',
    async (otherwise, result, calls) => {
      const { tools, start } = setup({ seek_confirm: true, time_to_confirm: 150, default: otherwise })
      const runner = await start()
      const begun = performance.now()
      await say(runner, 'go')
      expect(performance.now() - begun).toBeGreaterThan(149)
      expect(resultOf(runner)).toEqual(result)
      expect(tools.calls).toHaveLength(calls)
      const closed = bodies(runner).filter((body) => body.kind === 'approval_closed')
      expect(closed).toMatchObject([{ confirmed: calls === 1, by: 'timeout' }])
      expect(await runner.approvals.answer(closed[0]?.id ?? '', calls === 0, 'ann', 'test')).toMatchObject({
        outcome: 'late',
        by: 'timeout',
      })
      expect(tools.calls).toHaveLength(calls)
    },
  )

  it('takes its default at once where nobody can be asked', async () => {
    const { tools, start } = setup({ seek_confirm: true, default: 'confirm' }, { terminal: false })
    const runner = await start()
    await say(runner, 'go')
    expect(tools.calls).toHaveLength(1)
    expect(bodies(runner).some((body) => body.kind === 'approval_requested')).toBe(false)
  })

  it('is not asked for where the configuration does not say so', async () => {
    const { tools, start } = setup({ seek_confirm: false })
    const runner = await start()
    await say(runner, 'go')
    expect(tools.calls).toMatchObject([{ approved: false }])
  })

  it('takes the first answer; later ones are told what holds', async () => {
    const { start } = setup({ seek_confirm: true })
    const runner = await start()
    const worked = say(runner, 'go')
    const id = await asked(runner)
    const answers = await Promise.all([runner.approvals.answer(id, false, 'ann', 'a'), runner.approvals.answer(id, true, 'bob', 'b')])
    expect(answers).toEqual([
      { outcome: 'accepted', confirmed: false, by: 'ann' },
      { outcome: 'late', confirmed: false, by: 'ann' },
    ])
    await worked
    expect(await runner.approvals.answer(id, true, 'eve', 'c')).toEqual({ outcome: 'late', confirmed: false, by: 'ann' })
    expect(await runner.approvals.answer(randomUUID(), true, 'eve', 'c')).toEqual({ outcome: 'unknown', confirmed: null, by: null })
  })

  it('is asked again under its id after a restart, with the time that is left, and its answer is remembered', async () => {
    const stateDir = temporaryFolder()
    const { tools, start, fakes } = setup({ seek_confirm: true, time_to_confirm: 60_000 }, { stateDir })
    const first = await start()
    const message = randomUUID()
    await first.take({ id: message, conversation: 'main', sender: 'ann', content: 'go', metadata: {} })
    const id = await asked(first)
    await first.stop()

    const second = await start()
    expect(second.approvals.pending.map((approval) => approval.id)).toEqual([id])
    const announced = bodies(second).filter((body) => body.kind === 'approval_requested')
    expect(announced).toHaveLength(2)
    expect(announced[1]).toEqual(announced[0])
    await second.approvals.answer(id, true, 'ann', 'test')
    await second.ended(message)
    expect(tools.calls).toHaveLength(1)
    expect(fakes.asked.map((request) => request.purpose)).toEqual(['plan', 'work', 'work', 'plan', 'synthesise'])
    await second.stop()
    expect(await (await start()).approvals.answer(id, false, 'eve', 'x')).toMatchObject({ outcome: 'late', confirmed: true })
  })

  it('takes its default at a restart after its time', async () => {
    const stateDir = temporaryFolder()
    const { tools, start } = setup({ seek_confirm: true, time_to_confirm: 100 }, { stateDir })
    const first = await start()
    const message = randomUUID()
    await first.take({ id: message, conversation: 'main', sender: 'ann', content: 'go', metadata: {} })
    await asked(first)
    await first.stop()
    const second = await start()
    await second.ended(message)
    expect(resultOf(second)).toEqual(rejected)
    expect(tools.calls).toEqual([])
  })

  it('can be answered through the link by any door, also after the link was lost [I2-APR-02]', async () => {
    const runDir = temporaryFolder()
    const { tools, start } = setup({ seek_confirm: true }, { runDir, terminal: false })
    const regent = await LinkServer.open(runDir)
    const runner = await start()
    await regent.linked()
    regent.message('m1', 'go')
    await until(() => regent.taken.of('approval_requested').length === 1, 'the approval to be announced')
    const { id } = regent.taken.of('approval_requested')[0]?.approval ?? { id: '' }
    await regent.kill()
    expect(runner.approvals.pending).toHaveLength(1)

    const next = await LinkServer.open(runDir, { taken: regent.taken })
    await next.linked()
    expect(next.of('hello')[0]?.activity).toBe('needs_input')
    next.answer(id, true, 'nonce-1')
    next.answer(id, false, 'nonce-2')
    await until(() => next.taken.finals('m1').length === 1, 'the answer')
    const told = next.of('answered').sort((a, b) => a.nonce.localeCompare(b.nonce))
    expect(told).toEqual([
      { type: 'answered', approval_id: id, nonce: 'nonce-1', outcome: 'accepted', confirmed: true, by: 'ann' },
      { type: 'answered', approval_id: id, nonce: 'nonce-2', outcome: 'late', confirmed: true, by: 'ann' },
    ])
    expect(tools.calls).toHaveLength(1)
    expect([...regent.problems, ...next.problems]).toEqual([])
  })

  it('runs its tool soon after the answer', async () => {
    const times: number[] = []
    for (let round = 0; round < 10; round++) {
      const { tools, start } = setup({ seek_confirm: true }, { stateDir: temporaryFolder() })
      const runner = await start()
      const worked = say(runner, 'go')
      const id = await asked(runner)
      const begun = performance.now()
      void runner.approvals.answer(id, true, 'ann', 'test')
      await until(() => tools.calls.length === 1, 'the call')
      times.push(performance.now() - begun)
      await worked
    }
    times.sort((a, b) => a - b)
    expect(times[5]).toBeLessThan(100)
  })
})
