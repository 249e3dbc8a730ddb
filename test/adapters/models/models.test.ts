import { describe, expect, it } from 'vitest'
import { createModels, type ModelsOptions } from '../../../src/adapters/models/models.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'

const models = (over: Partial<ModelsOptions> = {}) =>
  createModels({ keys: {}, baseUrls: {}, defaultModel: 'haiku', clock: systemClock, logger: silentLogger, ...over })
const keys = { anthropic: 'a', openai: 'o' }
const idOf = (reference: string, over: Partial<ModelsOptions> = { keys }) => models(over).get(reference).id

describe('references to models', () => {
  it.each([
    ['haiku', 'anthropic.claude-3-5-haiku-latest'],
    ['sonnet', 'anthropic.claude-sonnet-4-6'],
    ['haiku.high', 'anthropic.claude-3-5-haiku-latest'],
    ['anthropic.haiku', 'anthropic.claude-3-5-haiku-latest'],
    ['anthropic.claude-3-5-haiku-latest', 'anthropic.claude-3-5-haiku-latest'],
    ['claude-opus-4-1-20250805', 'anthropic.claude-opus-4-1-20250805'],
    ['gpt-4.1', 'openai.gpt-4.1'],
    ['gpt-4o-mini.low', 'openai.gpt-4o-mini'],
    ['o3-mini', 'openai.o3-mini'],
    ['openai.gpt-4.1.high', 'openai.gpt-4.1'],
    ['openai.meta-llama/Llama-3.1-8B', 'openai.meta-llama/Llama-3.1-8B'],
    ['', 'anthropic.claude-3-5-haiku-latest'],
    ['default', 'anthropic.claude-3-5-haiku-latest'],
    ['offline', 'offline'],
  ])('"%s" is %s [S0-19]', (reference, id) => {
    expect(idOf(reference)).toBe(id)
  })

  it('takes any other name for a model of the compatible address', () => {
    expect(idOf('qwen2.5-coder:7b', { baseUrls: { openai: 'http://127.0.0.1:1' } })).toBe('generic.qwen2.5-coder:7b')
    expect(idOf('qwen2.5-coder.high', { baseUrls: { openai: 'http://127.0.0.1:1' } })).toBe('generic.qwen2.5-coder')
  })

  it.each(['hiku', 'mistral.large', 'anthropic.', 'constructor', '__proto__', '.high'])('refuses "%s"', (reference) => {
    expect(() => models().get(reference)).toThrow(
      expect.objectContaining({ code: 'INVALID', hint: expect.stringContaining('anthropic.MODEL') }),
    )
  })

  it('suggests what was meant', () => {
    expect(() => models().get('sonet')).toThrow(expect.objectContaining({ hint: expect.stringContaining('Did you mean "sonnet"') }))
  })

  it('refuses an address that is none', () => {
    expect(() => models({ keys, baseUrls: { openai: 'file:///etc/passwd' } }).get('gpt-4o')).toThrow(
      expect.objectContaining({ code: 'INVALID' }),
    )
  })

  it('knows how much fits', () => {
    expect(models({ keys }).get('haiku').contextTokens).toBe(200_000)
    expect(models({ baseUrls: { openai: 'http://x.example' } }).get('generic.llama3').contextTokens).toBe(128_000)
  })
})

describe('without a key', () => {
  it.each([
    ['haiku', 'ANTHROPIC_API_KEY'],
    ['gpt-4o', 'OPENAI_API_KEY'],
    ['generic.llama3', 'OPENAI_BASE_URL'],
  ])('the offline model stands in for %s and says what to set [part of I2-MOD-05]', (reference, setting) => {
    const model = models({ keys: { anthropic: '', openai: ' ' } }).get(reference)
    expect(model).toMatchObject({ id: 'offline', notice: expect.stringContaining(setting) })
    expect(model.notice).toContain('offline model stands in')
  })

  it('has nothing to say when it was chosen by name', () => {
    expect(models().get('offline').notice).toBeNull()
  })

  it('is not needed where an address is configured', () => {
    expect(idOf('haiku', { baseUrls: { anthropic: 'http://127.0.0.1:1' } })).toBe('anthropic.claude-3-5-haiku-latest')
  })
})
