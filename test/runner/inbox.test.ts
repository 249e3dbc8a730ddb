import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { OutBody } from '../../src/contract/link.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import { Journal } from '../../src/runner/journal.ts'
import type { Runner } from '../../src/runner/runner.ts'
import { fakeModels, lastText } from '../helpers/fake-models.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { quickClock, say, startRunner } from '../helpers/team-runner.ts'
import { until } from '../helpers/until.ts'

const bodies = (runner: Runner): OutBody[] => runner.journal.state.out.map((row) => row.body)
const incoming = (content: string, id: string = randomUUID()) => ({ id, conversation: 'main', sender: 'ann', content, metadata: {} })

describe('the inbox', () => {
  it('works on one message at a time, in the order of arrival; others wait [I2-TEAM-04]', async () => {
    let at = 0
    let most = 0
    const models = fakeModels(async (request) => {
      most = Math.max(most, ++at)
      await new Promise((later) => setTimeout(later, 5))
      at--
      return `re ${lastText(request)}`
    })
    const runner = await startRunner({ models })
    const messages = ['a', 'b', 'c', 'd'].map((content) => incoming(content))
    await Promise.all(messages.map((message) => runner.take(message)))
    await runner.ended(messages.at(-1)?.id ?? '')
    expect(most).toBe(1)
    expect(models.asked.map(lastText)).toEqual(['a', 'b', 'c', 'd'])
    expect(
      bodies(runner)
        .filter((body) => body.kind === 'done')
        .map((body) => body.message_id),
    ).toEqual(messages.map(({ id }) => id))
  })

  it('takes a message in once, whenever it comes again', async () => {
    const models = fakeModels(() => 'x')
    const runner = await startRunner({ models })
    const message = incoming('a')
    await Promise.all([runner.take(message), runner.take(message)])
    await runner.ended(message.id)
    await runner.take(message)
    await say(runner, 'b')
    expect(models.asked.map(lastText)).toEqual(['a', 'b'])
  })

  it('tries again what may pass, says so meanwhile, and gives up after five tries with a reason', async () => {
    const models = fakeModels((request) => {
      if (lastText(request) === 'fine') return 'ok'
      throw new RegentError('UNAVAILABLE', 'the model is away')
    })
    const runner = await startRunner({ models, clock: quickClock, redact: (text) => text.replaceAll('away', '***') })
    const held: string[] = []
    runner.conditions.onChange(() => held.push(...runner.conditions.list().map((one) => `${one.type}: ${one.message}`)))
    const id = await say(runner, 'go')
    expect(models.asked).toHaveLength(5)
    const said = bodies(runner)
    expect(said.filter((body) => body.kind === 'tried').map((body) => body.tries)).toEqual([2, 3, 4, 5])
    expect(said.at(-1)).toEqual({ kind: 'failed', message_id: id, reason: 'the model is ***' })
    expect(said.at(-2)).toMatchObject({ kind: 'say', type: 'notice', content: 'No answer: the model is ***', reply_to: id, final: true })
    expect(held[0]).toMatch(/^model: the model is \*{3}; tried again in \d+ s/)
    expect(runner.conditions.list()).toEqual([])
    const next = await say(runner, 'fine')
    expect(bodies(runner).at(-1)).toEqual({ kind: 'done', message_id: next })
  })

  it('gives up at once on what stays wrong, and says why', async () => {
    const models = fakeModels(() => {
      throw new RegentError('UPSTREAM', 'refused with 401', { details: { status: 401 }, hint: 'Set ANTHROPIC_API_KEY.' })
    })
    const runner = await startRunner({ models })
    const id = await say(runner, 'go')
    expect(models.asked).toHaveLength(1)
    expect(bodies(runner).at(-1)).toEqual({ kind: 'failed', message_id: id, reason: 'refused with 401; Set ANTHROPIC_API_KEY.' })
  })

  it('goes on where a try failed: finished steps are not done again', async () => {
    let failures = 2
    const models = fakeModels((request) => {
      if (request.purpose === 'plan')
        return request.facts?.round === 1 ? '{"steps":[{"tasks":[{"description":"t","agent":"a"}]}]}' : '{"steps":[],"is_complete":true}'
      if (request.purpose === 'synthesise' && failures-- > 0) throw new RegentError('TIMED_OUT', 'slow')
      return 'x'
    })
    const runner = await startRunner({ models, clock: quickClock, subagents: [{ name: 'a', instruction: 'i' }] })
    await say(runner, 'go')
    expect(models.asked.map((request) => request.purpose)).toEqual(['plan', 'work', 'plan', 'synthesise', 'synthesise', 'synthesise'])
    const says = bodies(runner).filter((body) => body.kind === 'say')
    expect(says.map((body) => body.type)).toEqual(['assistant', 'assistant'])
  })

  it('waits as long as a provider that limits it asks, and says that it is limited', async () => {
    let limited = true
    const models = fakeModels(() => {
      if (!limited) return 'ok'
      limited = false
      throw new RegentError('UPSTREAM', '429', { details: { status: 429 }, retryAfter: 30 })
    })
    const runner = await startRunner({ models, clock: quickClock })
    const begun = performance.now()
    const answered = say(runner, 'go')
    await until(() => runner.activity === 'rate_limited', 'the activity')
    await answered
    expect(performance.now() - begun).toBeGreaterThan(290)
    await until(() => runner.activity === 'idle', 'that it is idle')
  })

  it('does not count a stop as a try', async () => {
    const stateDir = temporaryFolder()
    const never = () => new Promise<string>(() => {})
    const tries: (number | undefined)[] = []
    const id = randomUUID()
    for (let life = 0; life < 2; life++) {
      const runner = await startRunner({ models: fakeModels(never), stateDir })
      await runner.take(incoming('go', id))
      await until(() => runner.activity === 'working', 'the work to begin')
      tries.push(runner.journal.state.inbox.get(id)?.tries)
      await runner.stop()
    }
    expect(tries).toEqual([1, 1])
    const runner = await startRunner({ models: fakeModels(() => 'x'), stateDir, redact: (text) => text })
    await runner.ended(id)
    expect(bodies(runner).at(-1)).toEqual({ kind: 'done', message_id: id })
  })

  it('gives up on a message that the agent died of five times', async () => {
    const stateDir = temporaryFolder()
    const journal = await Journal.open({ dir: stateDir, clock: systemClock, logger: silentLogger })
    await journal.append({ e: 'in', message: incoming('deadly', 'm1') }, { e: 'try', id: 'm1', tries: 5 })
    await journal.close()
    const models = fakeModels(() => 'x')
    const runner = await startRunner({ models, stateDir })
    await say(runner, 'harmless')
    expect(models.asked.map(lastText)).toEqual(['harmless'])
    const failed = bodies(runner).find((body) => body.kind === 'failed')
    expect(failed).toEqual({ kind: 'failed', message_id: 'm1', reason: 'the agent ended 5 times while it worked on this message' })
  })

  it('runs an initial task once per start [I2-TEAM-03]', async () => {
    const stateDir = temporaryFolder()
    const models = fakeModels(() => 'x')
    for (const start of ['1', '1', '2']) {
      const runner = await startRunner({ models, stateDir, start })
      await runner.runInitialTask('prepare')
      await runner.stop()
    }
    expect(models.asked.map(lastText)).toEqual(['prepare', 'prepare'])
  })

  it('remembers the conversation over a restart [I2-TEAM-05]', async () => {
    const stateDir = temporaryFolder()
    const first = await startRunner({ models: fakeModels(() => 'Hello Ann.'), stateDir })
    await say(first, 'I am Ann.')
    await first.stop()
    const models = fakeModels(() => 'x')
    await say(await startRunner({ models, stateDir }), 'Who am I?')
    expect(models.asked[0]?.turns.map((turn) => turn.text)).toEqual(['I am Ann.', 'Hello Ann.', 'Who am I?'])
  })
})
