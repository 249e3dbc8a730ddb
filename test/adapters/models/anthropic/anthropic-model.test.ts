import { describe, expect, it } from 'vitest'
import { ask, modelConformance, request, tool } from '../../../conformance/model.ts'
import { obedient, servedModels } from '../../../helpers/scripted-model.ts'

modelConformance('anthropic', async () => (await servedModels(obedient)).models.get('haiku'))

describe('Anthropic', () => {
  it('speaks the Messages API with key, system prompt, tools and limit [I2-MOD-01]', async () => {
    const { models, server } = await servedModels(['Hello.'])
    await models.get('anthropic.claude-3-5-haiku-latest').answer(ask('hi', { tools: [tool('fetch')] }))
    const [seen] = server.requests
    expect(seen).toMatchObject({ wire: 'anthropic', path: '/v1/messages', model: 'claude-3-5-haiku-latest' })
    expect(seen?.headers).toMatchObject({ 'x-api-key': 'sk-ant-made-up', 'anthropic-version': '2023-06-01' })
    expect(seen?.body).toMatchObject({ stream: true, max_tokens: 8192, system: [{ type: 'text', text: 'You are an agent.' }] })
    expect(seen?.body.tools).toMatchObject([{ name: 'fetch', description: 'does fetch', input_schema: { type: 'object' } }])
  })

  it.each(['', '/', '/v1', '/v1/'])('finds the API at an address that ends in "%s"', async (end) => {
    const { server } = await servedModels(['Hello.', 'Hello.'])
    const { models } = await servedModels([], { baseUrls: { anthropic: `${server.url}${end}` }, keys: {} })
    await models.get('haiku').answer(ask('hi'))
    expect(server.requests[0]).toMatchObject({ path: '/v1/messages', headers: { 'x-api-key': 'none' } })
  })

  it('counts tokens and cost [I2-MOD-04]', async () => {
    const { models } = await servedModels([{ text: 'Hello.', usage: { input: 1_000_000, output: 100_000 } }])
    const answer = await models.get('haiku').answer(ask('hi'))
    expect(answer.usage).toEqual({ inputTokens: 1_000_000, outputTokens: 100_000 })
    expect(answer.costUsd).toBeCloseTo(0.8 + 0.4)
  })

  it('says when the answer was cut by its limit or refused, and drops the calls in it', async () => {
    const calls = [{ name: 'fetch', input: { url: 'https://example.org' } }]
    const { models } = await servedModels([
      { text: 'Once upon', finish: 'max_tokens', calls },
      { text: 'No.', finish: 'refusal' },
    ])
    const model = models.get('haiku')
    expect(await model.answer(ask('tell', { tools: [tool('fetch')] }))).toMatchObject({ text: 'Once upon', calls: [], finish: 'length' })
    expect(await model.answer(ask('tell'))).toMatchObject({ finish: 'refused' })
  })

  it('thinks as hard as asked, but not between tool calls', async () => {
    const { models, server } = await servedModels(['a', 'b'])
    const model = models.get('anthropic.claude-sonnet-4-5.high')
    await model.answer(ask('hi'))
    await model.answer(
      request([
        { role: 'user', text: 'hi' },
        { role: 'assistant', text: '', calls: [{ id: 'c', tool: 't', args: {} }] },
        { role: 'tool', callId: 'c', tool: 't', text: 'r', isError: false },
      ]),
    )
    expect(server.requests[0]?.body.thinking).toMatchObject({ type: 'enabled' })
    expect(server.requests[1]?.body.thinking).toBeUndefined()
  })

  it('asks the next model of an alias when its provider has retired the first, and says so', async () => {
    const { models, server } = await servedModels(({ model }) =>
      model === 'claude-3-5-haiku-latest' ? { status: 404, error: { type: 'not_found_error', message: `model: ${model}` } } : 'Here.',
    )
    const haiku = models.get('haiku')
    expect(haiku.notice).toBeNull()
    expect((await Promise.all([haiku.answer(ask('hi')), haiku.answer(ask('ho'))])).map(({ text }) => text)).toEqual(['Here.', 'Here.'])
    expect(haiku).toMatchObject({ id: 'anthropic.claude-haiku-4-5', notice: expect.stringContaining('claude-3-5-haiku-latest') })
    await expect(models.get('anthropic.claude-3-5-haiku-latest').answer(ask('hi'))).rejects.toMatchObject({ code: 'UPSTREAM' })
    expect(server.requests.filter(({ model }) => model === 'claude-haiku-4-5')).toHaveLength(2)
  })
})
