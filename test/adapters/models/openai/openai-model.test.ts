import { describe, expect, it } from 'vitest'
import { ask, modelConformance, tool } from '../../../conformance/model.ts'
import { obedient, servedModels } from '../../../helpers/scripted-model.ts'

modelConformance('openai', async () => (await servedModels(obedient)).models.get('gpt-4o'))

describe('OpenAI and what is compatible with it', () => {
  it('speaks chat completions with key, tools and system prompt [I2-MOD-01]', async () => {
    const { models, server } = await servedModels(['Hello.'])
    await models.get('gpt-4o').answer(ask('hi', { tools: [tool('fetch')] }))
    const [seen] = server.requests
    expect(seen).toMatchObject({ wire: 'openai', path: '/v1/chat/completions', model: 'gpt-4o' })
    expect(seen?.headers.authorization).toBe('Bearer sk-made-up')
    expect(seen?.body).toMatchObject({
      stream: true,
      messages: [
        { role: 'system', content: 'You are an agent.' },
        { role: 'user', content: 'hi' },
      ],
    })
    expect(seen?.body.tools).toMatchObject([{ type: 'function', function: { name: 'fetch', parameters: { type: 'object' } } }])
  })

  it.each([
    ['generic.llama3', 'llama3'],
    ['openai.meta-llama/Llama-3.1-8B', 'meta-llama/Llama-3.1-8B'],
    ['llama3.1:8b', 'llama3.1:8b'],
  ])('asks a local address without a key for %s [part of I2-MOD-03]', async (reference, model) => {
    const { server } = await servedModels(['Hello.'])
    const { models } = await servedModels([], { keys: {}, baseUrls: { openai: server.url } })
    const answer = await models.get(reference).answer(ask('hi'))
    expect(answer).toMatchObject({ text: 'Hello.', costUsd: null })
    expect(server.requests[0]).toMatchObject({ model, path: '/v1/chat/completions', headers: { authorization: 'Bearer none' } })
  })

  it('takes a path in an address as it is written', async () => {
    const { server } = await servedModels(['Hello.'])
    const { models } = await servedModels([], { baseUrls: { openai: `${server.url}/api/openai/` } })
    await models.get('gpt-4o').answer(ask('hi'))
    expect(server.requests[0]?.path).toBe('/api/openai/chat/completions')
  })

  it('passes the effort on', async () => {
    const { models, server } = await servedModels(['a'])
    await models.get('openai.o3-mini.low').answer(ask('hi'))
    expect(server.requests[0]).toMatchObject({ model: 'o3-mini', body: { reasoning_effort: 'low' } })
  })

  it('counts tokens and cost [I2-MOD-04]', async () => {
    const { models } = await servedModels([{ text: 'Hello.', usage: { input: 1_000_000, output: 100_000 } }])
    expect(await models.get('gpt-4o').answer(ask('hi'))).toMatchObject({
      usage: { inputTokens: 1_000_000, outputTokens: 100_000 },
      costUsd: 3.5,
    })
  })

  it('follows no redirect: its key goes nowhere else', async () => {
    const { server: other } = await servedModels(['stolen'])
    const { models, server } = await servedModels([{ status: 307, headers: { location: `${other.url}/v1/chat/completions` } }])
    await expect(models.get('gpt-4o').answer(ask('hi'))).rejects.toMatchObject({
      code: 'UPSTREAM',
      hint: expect.stringContaining('OPENAI_BASE_URL'),
    })
    expect(server.requests).toHaveLength(1)
    expect(other.requests).toHaveLength(0)
  })
})
