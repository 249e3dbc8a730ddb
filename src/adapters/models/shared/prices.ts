/** USD per million tokens, without discounts for caching or batches, as published in March 2026. */
interface Price {
  readonly input: number
  readonly output: number
}

const prices: readonly (readonly [prefix: string, price: Price])[] = [
  ['claude-3-haiku', { input: 0.25, output: 1.25 }],
  ['claude-3-5-haiku', { input: 0.8, output: 4 }],
  ['claude-haiku-4-5', { input: 1, output: 5 }],
  ['claude-3-5-sonnet', { input: 3, output: 15 }],
  ['claude-3-7-sonnet', { input: 3, output: 15 }],
  ['claude-sonnet-4', { input: 3, output: 15 }],
  ['claude-sonnet-4-5', { input: 3, output: 15 }],
  ['claude-sonnet-4-6', { input: 3, output: 15 }],
  ['claude-opus-4', { input: 15, output: 75 }],
  ['claude-opus-4-1', { input: 15, output: 75 }],
  ['claude-opus-4-5', { input: 5, output: 25 }],
  ['claude-opus-4-6', { input: 5, output: 25 }],
  ['gpt-4o-mini', { input: 0.15, output: 0.6 }],
  ['gpt-4o', { input: 2.5, output: 10 }],
  ['gpt-4.1-nano', { input: 0.1, output: 0.4 }],
  ['gpt-4.1-mini', { input: 0.4, output: 1.6 }],
  ['gpt-4.1', { input: 2, output: 8 }],
  ['gpt-5-nano', { input: 0.05, output: 0.4 }],
  ['gpt-5-mini', { input: 0.25, output: 2 }],
  ['gpt-5', { input: 1.25, output: 10 }],
  ['o3-mini', { input: 1.1, output: 4.4 }],
  ['o4-mini', { input: 1.1, output: 4.4 }],
  ['o3', { input: 2, output: 8 }],
]

// A dated or `-latest` name costs what its model costs; any other suffix is another model.
const suffix = /^(-\d{8}|-\d{4}-\d{2}-\d{2}|-latest|-0)?$/

/** Null where the price of the model is not known. */
export function costOf(model: string, inputTokens: number, outputTokens: number): number | null {
  const price = prices.find(([prefix]) => model.startsWith(prefix) && suffix.test(model.slice(prefix.length)))?.[1]
  return price === undefined ? null : (inputTokens * price.input + outputTokens * price.output) / 1_000_000
}

const contexts: readonly (readonly [pattern: RegExp, tokens: number])[] = [
  [/^claude-/, 200_000],
  [/^gpt-4\.1/, 1_000_000],
  [/^gpt-5/, 400_000],
  [/^o[134]/, 200_000],
  [/^gpt-4$/, 8_192],
  [/^gpt-3\.5/, 16_385],
]
const safeContext = 128_000

/** Roughly what fits into one request and its answer; for a model that is not known a cautious guess. */
export const contextOf = (model: string): number => contexts.find(([pattern]) => pattern.test(model))?.[1] ?? safeContext
