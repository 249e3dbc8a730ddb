import dns from 'node:dns'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createNetProber } from '../../src/adapters/probes/net-prober.ts'
import { type Probe, probe } from '../../src/contract/policy.ts'

it.each(['127.0.0.1', '::1'])('probes of localhost (%s) waited for the names that others had looked up, and missed', async (address) => {
  const server = createServer((_, answer) => void answer.end('well')).listen(0, address)
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  vi.spyOn(dns, 'lookup').mockImplementation((() => {}) as unknown as typeof dns.lookup)
  onTestFinished(() => void vi.restoreAllMocks())
  const { port } = server.address() as AddressInfo
  const given = [
    { type: 'http', url: `http://localhost:${port}/` },
    { type: 'tcp', host: 'localhost', port },
  ].map((one) => probe.parse({ ...one, timeout: 2 }) as Extract<Probe, { type: 'http' | 'tcp' }>)
  for (const one of given) expect(await createNetProber().probe(one, new AbortController().signal)).toMatchObject({ ok: true })
})
