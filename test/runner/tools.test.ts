import { describe, expect, it } from 'vitest'
import { RegentError } from '../../src/kernel/errors.ts'
import type { JsonObject } from '../../src/kernel/json.ts'
import type { ModelRequest } from '../../src/ports/model.ts'
import { fakeModels, planDone, planFor, type Reply } from '../helpers/fake-models.ts'
import { FakeTools } from '../helpers/fake-tools.ts'
import { quickClock, say, startRunner } from '../helpers/team-runner.ts'
import { until } from '../helpers/until.ts'

/** A team of one whose agent makes these calls, one after the other, then stops. */
function calling(...calls: readonly (readonly [tool: string, args?: JsonObject])[]) {
  return fakeModels((request): Reply => {
    if (request.purpose === 'plan') return request.facts?.round === 1 ? planFor('worker') : planDone
    if (request.purpose !== 'work') return 'end'
    const next = calls[request.turns.filter((turn) => turn.role === 'tool').length]
    return next ? { calls: [{ tool: next[0], args: next[1] ?? {} }] } : 'done'
  })
}
const results = (asked: readonly ModelRequest[]): string[] => {
  const last = asked.findLast((request) => request.purpose === 'work')
  return (last?.turns ?? []).filter((turn) => turn.role === 'tool').map((turn) => `${turn.isError ? 'error: ' : ''}${turn.text}`)
}
const worker = (...servers: string[]) => [{ name: 'worker', instruction: 'Work.', servers }]
const servers = (...ids: string[]) => ({ mcp: { servers: Object.fromEntries(ids.map((id) => [id, { command: id }])) } })

describe('an agent’s tools', () => {
  it('are those of its own servers alone', async () => {
    const models = calling(['theirs'])
    const tools = new FakeTools({ mine: { ours: {} }, other: { theirs: {} } })
    const runner = await startRunner({ models, tools, subagents: worker('mine'), config: servers('mine', 'other') })
    await say(runner, 'go')
    expect(models.asked.find((request) => request.purpose === 'work')?.tools.map((tool) => tool.name)).toEqual(['ours'])
    expect(results(models.asked)).toEqual(["error: There is no tool 'theirs'."])
    expect(tools.calls).toEqual([])
    expect(tools.tried).toEqual({ mine: 1 })
  })

  it('keep their names where they are unique, and carry their server’s where two clash', async () => {
    const models = calling(['a__read', { n: 1 }], ['b__read', { n: 2 }], ['write', { n: 3 }])
    const tools = new FakeTools({ a: { read: {} }, b: { read: {}, write: {} } })
    const runner = await startRunner({ models, tools, subagents: worker('a', 'b'), config: servers('a', 'b') })
    await say(runner, 'go')
    expect(tools.calls.map(({ server, tool, args }) => [server, tool, args.n])).toEqual([
      ['a', 'read', 1],
      ['b', 'read', 2],
      ['b', 'write', 3],
    ])
  })

  it('are offered under names that a model may use, none of them twice', async () => {
    const models = calling()
    const tools = new FakeTools({ 'a b': { 'x.y': {}, 'x/y': {}, [`${'l'.repeat(80)}1`]: {}, [`${'l'.repeat(80)}2`]: {} } })
    const runner = await startRunner({ models, tools, subagents: worker('a b'), config: servers('a b') })
    await say(runner, 'go')
    const names = models.asked.find((request) => request.purpose === 'work')?.tools.map((tool) => tool.name) ?? []
    expect(new Set(names).size).toBe(4)
    for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
  })

  it('give back data: text whatever it is, bounded, from tools whose descriptions are bounded', async () => {
    const models = calling(['big'], ['image'], ['bad'], ['broken'])
    const content = [{ type: 'image', data: 'AAAA', mimeType: 'image/png' }] as const
    const tools = new FakeTools({
      s: {
        big: { description: 'd'.repeat(100_000), run: () => 'y'.repeat(5_000_000) },
        image: { run: () => ({ isError: false, content }) },
        bad: { run: () => ({ isError: true, content: [{ type: 'text', text: 'no such file' }] }) },
        broken: {
          run: () => {
            throw new RegentError('TIMED_OUT', 'too slow')
          },
        },
      },
    })
    const runner = await startRunner({ models, tools, subagents: worker('s'), config: servers('s') })
    await say(runner, 'go')
    const [big, ...others] = results(models.asked)
    expect(big?.length).toBeLessThan(61_000)
    expect(others).toEqual([
      '[image image/png, 4 characters of base64]',
      'error: no such file',
      "error: The call of 'broken' failed: too slow",
    ])
    expect(models.asked.find((request) => request.purpose === 'work')?.tools[0]?.description.length).toBeLessThan(4_100)
    expect(JSON.stringify(runner.journal.state.out).length).toBeLessThan(100_000)
  })

  it('are not called with arguments that nobody could be shown as they are', async () => {
    const models = calling(['run', { text: 'a\0b' }], ['run', JSON.parse('{"a":{"__proto__":1}}')], ['run', { long: 'x'.repeat(300_000) }])
    const tools = new FakeTools({ s: { run: {} } })
    const runner = await startRunner({ models, tools, subagents: worker('s'), config: servers('s') })
    await say(runner, 'go')
    expect(tools.calls).toEqual([])
    const refused = results(models.asked)
    expect(refused.slice(0, 2)).toEqual(Array(2).fill(expect.stringMatching(/^error: 'run' was not called: its arguments hold a NUL/)))
    expect(refused[2]).toContain('longer than')
  })
})

describe('a tool server', () => {
  it('that is missing is a condition that names the remedy, and is tried again until it is there', async () => {
    const tools = new FakeTools({})
    const models = calling(['read'])
    const runner = await startRunner({ models, tools, subagents: worker('files'), config: servers('files'), clock: quickClock })
    await say(runner, 'go')
    expect(results(models.asked)).toEqual(["error: There is no tool 'read'."])
    const held = runner.conditions.list()
    expect(held).toMatchObject([{ type: 'tool-server', subject: 'files' }])
    expect(held[0]?.message).toMatch(/files cannot be started; install files; tried again/)

    tools.servers.files = { read: {} }
    await until(() => runner.conditions.list().length === 0, 'the condition to go')
    await say(runner, 'again')
    expect(tools.calls).toHaveLength(1)
  })

  it('that no definition knows is a condition too', async () => {
    const runner = await startRunner({ models: calling(), subagents: worker('ghost'), config: servers('files') })
    await say(runner, 'go')
    expect(runner.conditions.list()).toMatchObject([
      { type: 'tool-server', subject: 'ghost', message: expect.stringContaining('there are files') },
    ])
  })

  it('that stands in for another says so', async () => {
    const tools = new FakeTools({ fetch: { fetch: {} } })
    tools.notices.fetch = 'built-in fetch stands in'
    const runner = await startRunner({ models: calling(['fetch']), tools, subagents: worker('fetch'), config: servers('fetch') })
    await say(runner, 'go')
    expect(runner.conditions.list()).toMatchObject([{ type: 'tool-server', subject: 'fetch', message: 'built-in fetch stands in' }])
  })

  it('that died is started once more for a call', async () => {
    const models = calling(['read'], ['read'])
    const tools: FakeTools = new FakeTools({ s: { read: { run: () => (tools.calls.length === 1 ? die() : 'fine') } } })
    const die = (): string => {
      queueMicrotask(() => tools.kill('s'))
      return 'last words'
    }
    const runner = await startRunner({ models, tools, subagents: worker('s'), config: servers('s') })
    await say(runner, 'go')
    expect(results(models.asked)).toEqual(['last words', 'fine'])
    expect(tools.tried.s).toBe(2)
  })

  it('that dies in a call leaves an error, and the call is not repeated unless it only reads', async () => {
    const gone = () => {
      throw new RegentError('UNAVAILABLE', 'it ended')
    }
    const tools = new FakeTools({ s: { write: { run: gone }, read: { run: gone, hints: { readOnly: true } } } })
    const models = calling(['write'], ['read'])
    const runner = await startRunner({ models, tools, subagents: worker('s'), config: servers('s') })
    await say(runner, 'go')
    expect(tools.calls.map((call) => call.tool)).toEqual(['write', 'read', 'read'])
    expect(results(models.asked)).toEqual(["error: The call of 'write' failed: it ended", "error: The call of 'read' failed: it ended"])
  })

  it('whose tools change is asked again, and that is said on the channel', async () => {
    const models = calling()
    const tools = new FakeTools({ s: { old: {} } })
    const runner = await startRunner({ models, tools, subagents: worker('s'), config: servers('s') })
    await say(runner, 'go')
    tools.servers.s = { fresh: {} }
    tools.options.s?.onToolsChanged?.()
    await say(runner, 'go')
    expect(models.asked.findLast((request) => request.purpose === 'work')?.tools.map((tool) => tool.name)).toEqual(['fresh'])
    const bodies = runner.journal.state.out.map((row) => row.body)
    expect(bodies).toContainEqual(expect.objectContaining({ type: 'tool_update', content: { updated_server: 's' } }))
  })

  it('may ask for a model where its definition names one, which counts as usage', async () => {
    const tools = new FakeTools({ s: {}, t: {} })
    const models = calling()
    const config = { mcp: { servers: { s: { command: 's', sampling: { model: 'sonnet' } }, t: { command: 't' } } } }
    const runner = await startRunner({ models, tools, subagents: worker('s', 't'), config })
    await say(runner, 'go')
    expect(tools.options.t?.sample).toBeUndefined()
    const sampled = await tools.options.s?.sample?.(
      { system: 'sys', prompt: 'say', maxTokens: 9, model: undefined },
      AbortSignal.timeout(5_000),
    )
    expect(sampled).toEqual({ text: 'end', model: 'fake.sonnet' })
    expect(models.asked.at(-1)).toMatchObject({ purpose: 'sample', system: 'sys', maxOutputTokens: 9, model: 'sonnet' })
    expect(runner.journal.state.out.at(-1)?.body).toMatchObject({ kind: 'usage', model: 'fake.sonnet' })
  })

  it('is closed when the runner stops', async () => {
    const tools = new FakeTools({ s: {}, t: {} })
    const runner = await startRunner({ models: calling(), tools, subagents: worker('s', 't'), config: servers('s', 't') })
    await say(runner, 'go')
    await runner.stop()
    expect(tools.closed).toBe(2)
  })
})
