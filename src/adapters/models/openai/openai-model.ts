import type { Model } from '../../../ports/model.ts'
import { createProviderModel, type ModelOptions, placeholderKey } from '../shared/provider-model.ts'

const ownAddress = 'https://api.openai.com/v1'

/** OpenAI's models, and those of any address that speaks its chat completions. `id` is `openai.MODEL` or `generic.MODEL`. */
export function createOpenAiModel(id: string, options: ModelOptions): Model {
  const key = options.key ?? placeholderKey
  const parts = {
    id,
    key,
    keyHint: 'Check the key: OPENAI_API_KEY in the environment, or openai.api_key in json_config.',
    addressHint: 'The address is set by OPENAI_BASE_URL in the environment, or openai.base_url in json_config.',
    maxOutputTokens: undefined,
    async open(fetch: typeof globalThis.fetch) {
      const { createOpenAI } = await import('@ai-sdk/openai')
      return createOpenAI({ apiKey: key, baseURL: versioned(options.baseUrl ?? ownAddress), fetch }).chat(options.model)
    },
  }
  return createProviderModel(parts, options)
}

/** An address without a path gets `/v1`, as every known server wants it; a path is taken as written. */
function versioned(url: string): string {
  const plain = url.replace(/\/+$/, '').replace(/\/chat\/completions$/, '')
  return URL.canParse(plain) && new URL(plain).pathname === '/' ? `${plain}/v1` : plain
}
