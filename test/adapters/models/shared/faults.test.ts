import { describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/kernel/clock.ts'
import type { Model } from '../../../../src/ports/model.ts'
import { ask } from '../../../conformance/model.ts'
import type { ModelScript, Reply } from '../../../helpers/model-server.ts'
import { servedModels } from '../../../helpers/scripted-model.ts'

const overloaded: Reply = { status: 529, error: { type: 'overloaded_error', message: 'Overloaded' } }
const limited = (headers: Record<string, string>): Reply => ({
  status: 429,
  headers,
  error: { type: 'rate_limit_error', message: 'Slow down, please' },
})

/** A clock whose pauses take no time and are noted. */
function noting() {
  const pauses: number[] = []
  return { pauses, clock: { ...systemClock, sleep: async (ms: number) => void pauses.push(ms) } }
}

describe.each([
  ['anthropic', 'haiku', 'ANTHROPIC_API_KEY'],
  ['openai', 'gpt-4o', 'OPENAI_API_KEY'],
])('faults of %s', (_provider, reference, variable) => {
  const start = async (script: ModelScript, over = {}): Promise<{ model: Model; count: () => number }> => {
    const { models, server } = await servedModels(script, over)
    return { model: models.get(reference), count: () => server.requests.length }
  }

  it.each([
    ['429', limited({})],
    ['500', { status: 500 }],
    ['503', { status: 503 }],
    ['overloaded', overloaded],
    ['a stream that ends before its end', { text: [], break: { after: 0, how: 'end' } }],
    ['a connection cut before the first piece', { text: ['x'], break: { after: 0, how: 'cut' } }],
    [
      'overloaded inside the stream',
      { text: ['x'], break: { after: 0, how: 'error' }, error: { type: 'overloaded_error', message: 'Overloaded', code: 'server_error' } },
    ],
  ] satisfies [string, Reply][])('tries again after %s [I2-MOD-02]', async (_what, fault) => {
    const { model, count } = await start([fault, fault, 'Here I am.'])
    expect(await model.answer(ask('hi'))).toMatchObject({ text: 'Here I am.' })
    expect(count()).toBe(3)
  })

  it('waits as long as the provider asks [I2-MOD-02]', async () => {
    const { pauses, clock } = noting()
    const soon = new Date(Date.now() + 30_000).toUTCString()
    const { model } = await start(
      [limited({ 'retry-after': '7' }), limited({ 'retry-after-ms': '1500' }), limited({ 'retry-after': soon }), 'Well.'],
      { clock },
    )
    expect(await model.answer(ask('hi'))).toMatchObject({ text: 'Well.' })
    expect(pauses.slice(0, 2)).toEqual([7_000, 1_500])
    expect(pauses[2]).toBeGreaterThan(27_000)
    expect(pauses[2]).toBeLessThanOrEqual(30_000)
  })

  it('gives up at once where the wait would be too long, and says for how long', async () => {
    const { pauses, clock } = noting()
    const { model, count } = await start([limited({ 'retry-after': '3600' })], { clock })
    await expect(model.answer(ask('hi'))).rejects.toMatchObject({
      code: 'UPSTREAM',
      retryAfter: 3600,
      message: expect.stringContaining('Slow down, please'),
    })
    expect([count(), pauses.length]).toEqual([1, 0])
  })

  it('gives up after five tries with growing pauses, in the words of the provider [I2-MOD-02]', async () => {
    const { pauses, clock } = noting()
    const { model, count } = await start(() => overloaded, { clock, retry: { firstMs: 500, random: () => 0.999 } })
    await expect(model.answer(ask('hi'))).rejects.toMatchObject({
      code: 'UPSTREAM',
      message: expect.stringMatching(/529.*Overloaded.*5 times/),
    })
    expect(count()).toBe(5)
    expect(pauses).toEqual([500, 1000, 2000, 4000].map((ms) => expect.closeTo(ms, -1)))
  })

  it('begins the text anew after a cut in its middle, and tells so [I2-MOD-02]', async () => {
    const said: string[] = []
    const { model } = await start([{ text: ['The ', 'answer ', 'is'], break: { after: 2, how: 'cut' }, pauseMs: 5 }, 'The answer is 42.'])
    const answer = await model.answer(ask('hi', { onText: (piece) => said.push(piece), onRestart: () => said.push('|') }))
    expect(answer.text).toBe('The answer is 42.')
    expect(said.join('')).toBe('The answer |The answer is 42.')
  })

  it.each([401, 403])('tells of %i which key to set, without the key, and does not try again [I2-MOD-02]', async (status) => {
    const { model, count } = await start([
      { status, error: { type: 'authentication_error', message: 'bad key sk-made-up or sk-ant-made-up' } },
    ])
    const error = await model.answer(ask('hi')).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'UPSTREAM', hint: expect.stringContaining(variable) })
    expect(error.hint).toContain('json_config')
    expect(error.message).toContain('bad key')
    expect(`${error.message} ${error.stack} ${JSON.stringify(error)}`).not.toMatch(
      variable.startsWith('A') ? /sk-ant-made-up/ : /sk-made-up/,
    )
    expect(count()).toBe(1)
  })

  it('tells of 400 and 404 in the words of the provider, once', async () => {
    const { model, count } = await start([{ status: 400, error: { type: 'invalid_request_error', message: 'prompt is too long' } }])
    await expect(model.answer(ask('hi'))).rejects.toMatchObject({
      code: 'UPSTREAM',
      message: expect.stringContaining('prompt is too long'),
    })
    expect(count()).toBe(1)
  })

  it('names an address that cannot be reached', async () => {
    const { models, server } = await servedModels([])
    await server.close()
    await expect(models.get(reference).answer(ask('hi'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('BASE_URL'),
    })
  })

  it('ends a try that stays silent, and one that stops in its middle', async () => {
    const silent = await start(() => new Promise<Reply>(() => {}), { timeouts: { firstMs: 50 } })
    await expect(silent.model.answer(ask('hi'))).rejects.toMatchObject({ code: 'TIMED_OUT', message: expect.stringContaining('no answer') })
    const stopping = await start([{ text: ['a', 'b'], break: { after: 1, how: 'hang' } }], { timeouts: { betweenMs: 50 } })
    await expect(stopping.model.answer(ask('hi'))).rejects.toMatchObject({ code: 'TIMED_OUT', message: expect.stringContaining('stopped') })
  })

  it('ends an answer that takes too long as a whole, however lively it is', async () => {
    const { model } = await start([{ text: Array.from({ length: 10_000 }, () => 'la '), pauseMs: 5 }], { timeouts: { wholeMs: 100 } })
    await expect(model.answer(ask('sing'))).rejects.toMatchObject({ code: 'TIMED_OUT', message: expect.stringContaining('within 0.1 s') })
  })

  it('leaves nothing open at the provider when it is aborted', async () => {
    const { models, server } = await servedModels([{ text: ['a', 'b'], break: { after: 1, how: 'hang' } }])
    const stop = new AbortController()
    await expect(models.get(reference).answer(ask('hi', { signal: stop.signal, onText: () => stop.abort() }))).rejects.toThrow()
    await expect.poll(() => server.aborted()).toBe(1)
  })

  it('stops waiting for another try when it is aborted', async () => {
    const { model } = await start([limited({ 'retry-after': '50' })])
    const from = performance.now()
    await expect(model.answer(ask('hi', { signal: AbortSignal.timeout(100) }))).rejects.toThrow()
    expect(performance.now() - from).toBeLessThan(5_000)
  })
})
