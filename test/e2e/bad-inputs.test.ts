import { request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { type Bad, badInputs, CANARY, headersOf } from '../helpers/bad-inputs.ts'
import { ALICE, READER } from '../helpers/http-door.ts'
import { smallConfig } from '../helpers/manager-door.ts'
import { Regent } from '../helpers/regent.ts'

interface Answer {
  readonly status: number
  readonly body: string
  readonly retryAfter: number
}

function send(regent: Regent, row: Bad, tokens: Readonly<Record<string, string>>): Promise<Answer> {
  const headers: Record<string, string | string[]> = {}
  for (const [name, value] of Object.entries(headersOf(row))) {
    const text = [value].flat().map((one) => Object.entries(tokens).reduce((all, [fake, real]) => all.replace(fake, real), one))
    headers[name] = text.length === 1 ? (text[0] ?? '') : text
  }
  return new Promise((resolve, reject) => {
    const asked = request(`${regent.url}${row.url}`, { method: row.method ?? 'GET', headers, agent: false }, async (answer) => {
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk)
      const { statusCode = 0, headers: given } = answer
      resolve({ status: statusCode, body: Buffer.concat(chunks).toString(), retryAfter: Number(given['retry-after'] ?? 0) })
    })
    asked.on('error', reject)
    asked.end(typeof row.payload === 'object' ? JSON.stringify(row.payload) : row.payload)
  })
}

/** As a client that is told to come back later does. */
async function patiently(regent: Regent, row: Bad, tokens: Readonly<Record<string, string>>): Promise<Answer> {
  for (;;) {
    const answer = await send(regent, row, tokens)
    if (answer.status !== 429) return answer
    await pause(answer.retryAfter * 1000)
  }
}

describe('bad inputs at a running Regent', () => {
  it('[I2-E2E-02] [F53] [F54] [F56] [F62] [F63] [F68] are each a clear 4xx that changes and tells nothing', {
    timeout: 120_000,
  }, async () => {
    const regent = await Regent.start()
    const token = async (user: string, role: string) =>
      (await regent.json<{ token: string }>('token', 'create', user, '--role', role)).token
    const tokens = { [ALICE]: await token('alice', 'user'), [READER]: await token('alice', 'read-only') }
    await regent.post('/agents', { ...smallConfig, username: 'alice', name: 'news' })
    const bob = (await regent.post('/agents', { ...smallConfig, username: 'bob', name: 'plan' })).body
    expect(bob.message).toContain('created')
    const state = async () =>
      JSON.stringify([(await regent.fetch('/api/v1/agents')).body, (await regent.fetch('/api/v1/events/history?limit=1000')).body])
    const before = await state()
    expect(badInputs.length).toBeGreaterThan(100)
    for (const row of badInputs) {
      const answer = await patiently(regent, row, tokens).catch((error: Error) => ({ status: 0, body: error.message, retryAfter: 0 }))
      // A body of 10 MB may be answered while it is still being sent, and the connection cut.
      const cut = answer.status === 0 && [row.status].flat().includes(413)
      if (!cut) expect([row.what, [row.status].flat().includes(answer.status), answer.status]).toEqual([row.what, true, answer.status])
      expect(answer.body).not.toContain(CANARY)
    }
    expect(await state()).toBe(before)
    expect(regent.log).not.toContain(CANARY)
    for (const one of Object.values(tokens)) expect(regent.log).not.toContain(one)
    expect(regent.log).not.toContain('"level":50')
    expect((await regent.fetch('/livez')).status).toBe(200)
  })
})
