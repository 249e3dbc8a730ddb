import { describe, expect, it } from 'vitest'
import { providerAccess } from '../../src/runner/provider-key.ts'

const environment = { key: 'operator', baseUrl: 'https://gateway.example/v1' }

describe('the key of whoever runs Regent', () => {
  it.each([
    ['is used where the definition says nothing', undefined, 'operator', 'https://gateway.example/v1'],
    ['is used where the definition has empty texts', { api_key: '', base_url: '' }, 'operator', 'https://gateway.example/v1'],
    ['goes to a server on this machine', { base_url: 'http://127.0.0.1:9' }, 'operator', 'http://127.0.0.1:9'],
    [
      'goes to the address that the environment names too',
      { base_url: 'https://gateway.example/v1' },
      'operator',
      'https://gateway.example/v1',
    ],
    ['stands back for a key of the definition', { api_key: 'own', base_url: 'https://x.example' }, 'own', 'https://x.example'],
    ['is not sent to a stranger', { base_url: 'https://evil.example' }, undefined, 'https://evil.example'],
    ['is not sent to one that only looks local', { base_url: 'http://127.0.0.1.evil.example' }, undefined, 'http://127.0.0.1.evil.example'],
    ['is not sent to what is no address', { base_url: 'nonsense' }, undefined, 'nonsense'],
  ])('%s', (_what, own, key, baseUrl) => {
    expect(providerAccess({ own, environment })).toMatchObject({ key, baseUrl, withheld: key === undefined })
  })
})
