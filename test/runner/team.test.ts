import { describe, expect, it } from 'vitest'
import { RegentError } from '../../src/kernel/errors.ts'
import type { Runner } from '../../src/runner/runner.ts'
import { fakeModels, lastText, planDone, planFor } from '../helpers/fake-models.ts'
import { FakeTools } from '../helpers/fake-tools.ts'
import type { RowOf } from '../helpers/link-server.ts'
import { say, startRunner } from '../helpers/team-runner.ts'

const finder = { name: 'finder', instruction: 'You find.', servers: ['web'], model: 'm-finder' }
const reporter = { name: 'reporter', instruction: 'You report.', servers: [], model: 'm-reporter' }
const web = { mcp: { servers: { web: { command: 'web' } } } }

function said(runner: Runner): RowOf<'say'>[] {
  return runner.journal.state.out.map((row) => row.body).filter((body) => body.kind === 'say')
}
const finalOf = (runner: Runner, id: string): RowOf<'say'> | undefined => said(runner).find((row) => row.final && row.reply_to === id)

describe('a team at work', () => {
  it('plans in full, runs the tasks of a step in parallel and the steps in order, and synthesises [I2-TEAM-01]', async () => {
    let together = 0
    let most = 0
    const order: string[] = []
    const models = fakeModels(async (request) => {
      if (request.purpose === 'plan') {
        if (lastText(request).includes('<result')) return planDone
        const task = (agent: string, description: string) => ({ agent, description })
        const steps = [
          { description: 'one', tasks: [task('finder', 'first'), task('reporter', 'second')] },
          { description: 'two', tasks: [task('reporter', 'third')] },
        ]
        return JSON.stringify({ steps, is_complete: false })
      }
      if (request.purpose === 'synthesise') return 'the answer'
      most = Math.max(most, ++together)
      await new Promise((later) => setTimeout(later, 20))
      together--
      order.push(lastText(request))
      return `did ${lastText(request)}`
    })
    const runner = await startRunner({ models, subagents: [finder, reporter], config: web, tools: new FakeTools({ web: {} }) })
    const id = await say(runner, 'do it')
    expect(finalOf(runner, id)).toMatchObject({ type: 'assistant', content: 'the answer', author: 'crew', final: true })
    expect(most).toBe(2)
    expect(order.at(-1)).toBe('third')
    expect(models.asked.map((request) => request.purpose)).toEqual(['plan', 'work', 'work', 'work', 'plan', 'synthesise'])
    const work = models.asked.filter((request) => request.purpose === 'work')
    expect(work.map(({ model, system }) => `${model}: ${system}`).sort()).toEqual([
      'm-finder: You find.',
      'm-reporter: You report.',
      'm-reporter: You report.',
    ])
    expect(JSON.stringify(work[2]?.turns)).toContain('did first')
    expect(lastText(models.asked[5] ?? models.asked[0] ?? fail())).toContain('did third')
  })

  it('shows the planner its progress in the last message, with the shape of a plan [I2-TEAM-02]', async () => {
    const models = fakeModels((request) => {
      if (request.purpose === 'plan') return lastText(request).includes('the find') ? planDone : planFor('finder')
      return request.purpose === 'work' ? 'the find' : 'end'
    })
    const runner = await startRunner({ models, subagents: [finder] })
    await say(runner, 'go')
    const plans = models.asked.filter((request) => request.purpose === 'plan')
    expect(plans).toHaveLength(2)
    for (const plan of plans) {
      expect(plan.turns.at(-1)?.role).toBe('user')
      expect(lastText(plan)).toContain('{"steps":[{"description","tasks":[{"description","agent"}]}],"is_complete":bool}')
    }
    expect(lastText(plans[1] ?? fail())).toContain('the find')
    expect(plans[1]?.facts).toMatchObject({ objective: 'go', round: 2, results: [{ agent: 'finder', text: 'the find' }] })
  })

  it('plans at most five times', async () => {
    const models = fakeModels((request) => (request.purpose === 'plan' ? planFor('finder') : 'x'))
    const runner = await startRunner({ models, subagents: [finder] })
    const id = await say(runner, 'go')
    expect(models.asked.filter((request) => request.purpose === 'plan')).toHaveLength(5)
    expect(finalOf(runner, id)?.content).toBe('x')
  })

  it('tells the planner of an agent that it made up', async () => {
    const models = fakeModels((request) => {
      if (request.purpose !== 'plan') return 'x'
      return request.facts?.round === 1
        ? planFor('ghost')
        : lastText(request).includes('no agent "ghost"') && request.facts?.round === 2
          ? planFor('finder')
          : planDone
    })
    const runner = await startRunner({ models, subagents: [finder] })
    await say(runner, 'go')
    expect(models.asked.map((request) => request.purpose)).toEqual(['plan', 'plan', 'work', 'plan', 'synthesise'])
  })

  it('hands the message to the agents as it is when no plan can be read, and says so', async () => {
    const models = fakeModels((request) => (request.purpose === 'plan' ? 'I would rather not.' : `${request.purpose} done`))
    const runner = await startRunner({ models, subagents: [finder, reporter] })
    const id = await say(runner, 'go on')
    expect(models.asked.map((request) => request.purpose)).toEqual(['plan', 'plan', 'work', 'work', 'synthesise'])
    expect(said(runner).find((row) => row.type === 'notice')?.content).toContain('finder, reporter')
    expect(finalOf(runner, id)?.content).toBe('synthesise done')
  })

  it('hands the message on as it is when plans have nothing to do and are not complete', async () => {
    const models = fakeModels((request) => (request.purpose === 'plan' ? '{"steps":[],"is_complete":false}' : `${request.purpose} done`))
    const runner = await startRunner({ models, subagents: [finder] })
    await say(runner, 'go on')
    expect(models.asked.map((request) => request.purpose)).toEqual(['plan', 'plan', 'work', 'synthesise'])
    expect(lastText(models.asked[1] ?? fail())).toContain('there was no step to do')
  })

  it('answers by itself what needs none of the team', async () => {
    const models = fakeModels((request) => (request.purpose === 'plan' ? planDone : 'you are welcome'))
    const runner = await startRunner({ models, subagents: [finder] })
    const id = await say(runner, 'thank you')
    expect(models.asked.map((request) => request.purpose)).toEqual(['plan', 'synthesise'])
    expect(lastText(models.asked[1] ?? fail())).toBe('thank you')
    expect(finalOf(runner, id)?.content).toBe('you are welcome')
  })

  it('answers by itself without subagents', async () => {
    const models = fakeModels(() => 'hello yourself')
    const runner = await startRunner({ models, subagents: [], config: { default_model: 'big' } })
    const id = await say(runner, 'hello')
    expect(models.asked).toMatchObject([{ purpose: 'work', model: 'big', turns: [{ role: 'user', text: 'hello' }], tools: [] }])
    expect(finalOf(runner, id)?.content).toBe('hello yourself')
  })

  it('says what the channel carries: user, tool_call, tool_result, assistant', async () => {
    const models = fakeModels((request) => {
      if (request.purpose === 'plan') return lastText(request).includes('<result') ? planDone : planFor('finder')
      if (request.purpose === 'synthesise') return 'all in all'
      return request.turns.some((turn) => turn.role === 'tool') ? 'found' : { calls: [{ tool: 'look', args: { at: 'x' } }] }
    })
    const tools = new FakeTools({ web: { look: { run: () => 'seen' }, other: {} } })
    const runner = await startRunner({ models, subagents: [finder], config: { ...web, pubsub_enabled: true }, tools })
    const id = await say(runner, 'go')
    const rows = said(runner)
    expect(rows.map((row) => [row.type, row.author, row.content])).toEqual([
      ['user', 'ann', 'go'],
      ['tool_call', 'finder', { tool_name: 'look', tool_args: { at: 'x' }, available_tools: ['look', 'other'] }],
      ['tool_result', 'finder', { content: [{ type: 'text', text: 'seen' }], isError: false }],
      ['assistant', 'finder', 'found'],
      ['assistant', 'crew', 'all in all'],
    ])
    expect(rows.map((row) => row.metadata)).toEqual([
      { model: 'fake.haiku', chat_turn: 1, name: 'crew' },
      {},
      {},
      { title: 'ASSISTANT', name: 'finder', highlight_tool: null },
      { title: 'ASSISTANT', name: 'crew', highlight_tool: null },
    ])
    expect(rows.map((row) => row.final)).toEqual([false, false, false, false, true])
    expect(rows.every((row) => row.reply_to === id)).toBe(true)
  })

  it('counts every model call', async () => {
    const models = fakeModels((request) => (request.purpose === 'plan' && request.facts?.round === 1 ? planFor('finder') : planDone))
    const runner = await startRunner({ models, subagents: [finder] })
    await say(runner, 'go')
    const usage = runner.journal.state.out.map((row) => row.body).filter((body) => body.kind === 'usage')
    expect(usage.map((row) => row.model)).toEqual(['fake.haiku', 'fake.m-finder', 'fake.haiku', 'fake.haiku'])
    expect(usage[0]).toEqual({ kind: 'usage', model: 'fake.haiku', input_tokens: 10, output_tokens: 5, cost_usd: 0.001 })
  })

  it('says with every answer, and as a condition, that another model stands in [I2-MOD-05]', async () => {
    const models = fakeModels(() => 'echo', { notice: 'the offline model stands in' })
    const runner = await startRunner({ models })
    for (const text of ['one', 'two']) {
      const row = finalOf(runner, await say(runner, text))
      expect(row?.content).toBe('echo\n\nthe offline model stands in')
      expect(row?.metadata.notice).toBe('the offline model stands in')
    }
    expect(runner.conditions.list()).toMatchObject([{ type: 'model', subject: 'haiku', message: 'the offline model stands in' }])
    expect(models.asked[1]?.turns.map((turn) => turn.text)).toEqual(['one', 'echo', 'two'])
  })

  it('streams pieces of the final answer', async () => {
    const models = fakeModels(async (request) => {
      request.onText?.('🙂'.slice(0, 1))
      await new Promise((later) => setTimeout(later, 80))
      request.onText?.(`${'🙂'.slice(1)} and`)
      return ' more'
    })
    const runner = await startRunner({ models })
    const pieces: string[] = []
    runner.onText = (_id, text) => pieces.push(text)
    await say(runner, 'go')
    expect(pieces.join('')).toBe('🙂 and more')
    expect(pieces.every((piece) => piece.isWellFormed())).toBe(true)
  })

  it('names a model that does not exist before a message needs it', async () => {
    const models = fakeModels(() => 'x')
    const picky = { ...models, get: (name: string) => (name === 'gpt-9' ? refuse() : models.get(name)) }
    const refuse = (): never => {
      throw new RegentError('INVALID', 'there is no model "gpt-9"')
    }
    const runner = await startRunner({ models: picky, subagents: [{ ...reporter, model: 'gpt-9' }] })
    await say(runner, 'warm up')
    expect(runner.conditions.list()).toContainEqual(
      expect.objectContaining({ type: 'model', subject: 'gpt-9', message: 'there is no model "gpt-9"' }),
    )
  })
})

describe('the conversation', () => {
  it('is remembered, each on its own', async () => {
    const models = fakeModels((request) => `re: ${lastText(request)}`)
    const runner = await startRunner({ models })
    await say(runner, 'my name is Ann')
    await say(runner, 'I am Bob', 'other')
    await say(runner, 'who am I?')
    expect(models.asked[1]?.turns).toHaveLength(1)
    expect(models.asked[2]?.turns.map((turn) => turn.text)).toEqual(['my name is Ann', 're: my name is Ann', 'who am I?'])
  })

  it('is condensed before it overflows the model [I2-TEAM-05]', async () => {
    const room = 4_000
    const models = fakeModels(
      (request) => {
        const chars = request.turns.reduce((sum, turn) => sum + turn.text.length, request.system.length)
        if (chars / 3.5 > room * 0.75) throw new RegentError('INVALID', `too long: ${chars}`)
        return request.purpose === 'condense' ? 'Ann likes blue.' : 'noted'
      },
      { contextTokens: room },
    )
    const runner = await startRunner({ models })
    await say(runner, 'I like blue.')
    for (let turn = 0; turn < 12; turn++) {
      const id = await say(runner, `${turn} ${'and so on '.repeat(100)}`)
      expect(finalOf(runner, id)?.content).toBe('noted')
    }
    expect(models.asked.some((request) => request.purpose === 'condense')).toBe(true)
    const last = models.asked.at(-1)
    expect(last?.turns[0]?.text).toContain('Ann likes blue.')
    expect(lastText(last ?? fail())).toMatch(/^11 and so on/)
  })

  it('fits a task’s own context: the oldest tool results are shortened first', async () => {
    const room = 6_000
    const models = fakeModels(
      (request) => {
        if (request.purpose === 'plan') return lastText(request).includes('<result') ? planDone : planFor('finder')
        const chars = request.turns.reduce((sum, turn) => sum + turn.text.length, request.system.length)
        if (chars / 3.5 > room * 0.75) throw new RegentError('INVALID', `too long: ${chars}`)
        return request.purpose === 'work' && request.turns.length < 14 ? { calls: [{ tool: 'look', args: {} }] } : 'done'
      },
      { contextTokens: room },
    )
    let number = 0
    const tools = new FakeTools({ web: { look: { run: () => `result ${++number} ${'data '.repeat(1_000)}` } } })
    const runner = await startRunner({ models, subagents: [finder], config: web, tools })
    const id = await say(runner, 'go')
    expect(finalOf(runner, id)?.content).toBe('done')
    const results = models.asked.findLast((request) => request.purpose === 'work')?.turns.filter((turn) => turn.role === 'tool') ?? []
    expect(results[0]?.text.length).toBeLessThan(600)
    expect(results.at(-1)?.text.length).toBeGreaterThan(4_000)
  })

  it('ends a task that calls tools for ever', async () => {
    const models = fakeModels((request) => {
      if (request.purpose === 'plan') return lastText(request).includes('<result') ? planDone : planFor('finder')
      return request.tools.length > 0 ? { calls: [{ tool: 'look', args: {} }] } : 'I stop'
    })
    const tools = new FakeTools({ web: { look: {} } })
    const runner = await startRunner({ models, subagents: [finder], config: web, tools })
    const id = await say(runner, 'go')
    expect(tools.calls).toHaveLength(50)
    expect(finalOf(runner, id)?.content).toBe('I stop')
  })
})

function fail(): never {
  throw new Error('there is no such request')
}
