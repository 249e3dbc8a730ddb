/** What a definition and the environment say about one model provider; empty counts as absent. */
export interface ProviderSettings {
  readonly own: { readonly api_key?: string | undefined; readonly base_url?: string | undefined } | undefined
  readonly environment: { readonly key: string | undefined; readonly baseUrl: string | undefined }
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/i

/**
 * Key and address to use: the definition's own win. The environment's key belongs to whoever runs Regent, so it goes to an address
 * of the definition only where that is this machine or the environment's own; to others the definition must bring a key.
 */
export function providerAccess({ own, environment }: ProviderSettings): {
  key: string | undefined
  baseUrl: string | undefined
  withheld: boolean
} {
  const baseUrl = own?.base_url || environment.baseUrl || undefined
  if (own?.api_key) return { key: own.api_key, baseUrl, withheld: false }
  const known = !own?.base_url || own.base_url === environment.baseUrl || loopback.test(hostOf(own.base_url))
  return { key: (known && environment.key) || undefined, baseUrl, withheld: !known && Boolean(environment.key) }
}

function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).hostname : ''
}
