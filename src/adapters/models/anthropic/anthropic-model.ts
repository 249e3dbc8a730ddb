import type { Model } from '../../../ports/model.ts'
import { createProviderModel, type ModelOptions, placeholderKey } from '../shared/provider-model.ts'

const ownAddress = 'https://api.anthropic.com'
// The API wants a limit with every request; every current model gives this much.
const maxOutputTokens = 8192

/** Claude by the Messages API, at Anthropic's address or another that speaks it. */
export function createAnthropicModel(options: ModelOptions): Model {
  const key = options.key ?? placeholderKey
  const parts = {
    id: `anthropic.${options.model}`,
    key,
    keyHint: 'Check the key: ANTHROPIC_API_KEY (or CLAUDE_API_KEY) in the environment, or anthropic.api_key in json_config.',
    addressHint: 'The address is set by ANTHROPIC_BASE_URL in the environment, or anthropic.base_url in json_config.',
    maxOutputTokens,
    async open(fetch: typeof globalThis.fetch) {
      const { createAnthropic } = await import('@ai-sdk/anthropic')
      return createAnthropic({ apiKey: key, baseURL: versioned(options.baseUrl ?? ownAddress), fetch })(options.model)
    },
  }
  return createProviderModel(parts, options)
}

/** People write the address with or without `/v1`, as different libraries want it; the one used here wants it. */
function versioned(url: string): string {
  const plain = url.replace(/\/+$/, '').replace(/\/messages$/, '')
  return /\/v\d+$/.test(plain) ? plain : `${plain}/v1`
}
