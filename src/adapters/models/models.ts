import type { Clock } from '../../kernel/clock.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Model, Models } from '../../ports/model.ts'
import { createAnthropicModel } from './anthropic/anthropic-model.ts'
import { createOfflineModel } from './offline/offline-model.ts'
import { createOpenAiModel } from './openai/openai-model.ts'
import { type ModelReference, parseReference } from './shared/aliases.ts'
import { defaultRetry, type RetryPolicy } from './shared/retry.ts'
import { withSuccessors } from './shared/successors.ts'
import { defaultTimeouts, type Timeouts } from './shared/watch.ts'

export interface ModelsOptions {
  /** Empty counts as absent. */
  readonly keys: { readonly anthropic?: string | undefined; readonly openai?: string | undefined }
  readonly baseUrls: { readonly anthropic?: string | undefined; readonly openai?: string | undefined }
  /** Answers to an empty reference and to `default`. */
  readonly defaultModel: string
  readonly clock: Clock
  readonly logger: Logger
  readonly fetch?: typeof globalThis.fetch
  readonly timeouts?: Partial<Timeouts>
  readonly retry?: Partial<RetryPolicy>
}

const settings = {
  anthropic: 'ANTHROPIC_API_KEY (or CLAUDE_API_KEY), or anthropic.api_key in json_config',
  openai: 'OPENAI_API_KEY, or openai.api_key in json_config; for a local server OPENAI_BASE_URL, or openai.base_url',
} as const

/** Every model that Regent knows; the libraries of a provider are loaded when one of its models first answers. */
export function createModels(options: ModelsOptions): Models {
  const { clock } = options
  const made = new Map<string, Model>()
  return {
    get(reference) {
      const name = reference.trim() === '' || reference === 'default' ? options.defaultModel : reference
      const known = made.get(name)
      if (known !== undefined) return known
      const model = modelOf(parseReference(name, wanted(options.baseUrls.openai) !== undefined), options)
      if (made.size < 100) made.set(name, model)
      return model
    },
  }

  function modelOf(reference: ModelReference, { keys, baseUrls }: ModelsOptions): Model {
    if (reference.provider === 'offline') return createOfflineModel({ clock, notice: null })
    const service = reference.provider === 'anthropic' ? 'anthropic' : 'openai'
    const key = wanted(keys[service])
    const baseUrl = wanted(baseUrls[service])
    const lacking = reference.provider === 'generic' ? baseUrl === undefined : key === undefined && baseUrl === undefined
    if (lacking) return createOfflineModel({ clock, notice: standIn(reference) })
    if (baseUrl !== undefined) checkAddress(service, baseUrl)
    return withSuccessors(reference, (model) => providerModel(reference, model, key, baseUrl, options))
  }
}

function providerModel(
  { provider, effort }: ModelReference,
  model: string,
  key: string | undefined,
  baseUrl: string | undefined,
  options: ModelsOptions,
) {
  const common = {
    model,
    effort,
    key,
    baseUrl,
    clock: options.clock,
    logger: options.logger,
    fetch: options.fetch ?? globalThis.fetch,
    timeouts: { ...defaultTimeouts, ...options.timeouts },
    retry: { ...defaultRetry, ...options.retry },
  }
  return provider === 'anthropic' ? createAnthropicModel(common) : createOpenAiModel(`${provider}.${model}`, common)
}

const wanted = (text: string | undefined): string | undefined => (text === undefined || text.trim() === '' ? undefined : text.trim())

function standIn({ provider, model }: ModelReference): string {
  if (provider === 'generic')
    return `The offline model stands in for generic.${model}: no address is configured. Set OPENAI_BASE_URL, or openai.base_url in json_config.`
  const service = provider === 'anthropic' ? 'anthropic' : 'openai'
  return `The offline model stands in for ${service}.${model}: no ${service === 'anthropic' ? 'Anthropic' : 'OpenAI'} key is configured. Set ${settings[service]}.`
}

function checkAddress(service: 'anthropic' | 'openai', url: string): void {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return
  throw new RegentError('INVALID', `the address of ${service} is not an http or https URL`, {
    hint: `Write ${service.toUpperCase()}_BASE_URL or ${service}.base_url like https://host/path.`,
  })
}
