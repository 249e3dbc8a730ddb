import { describe, expect, it } from 'vitest'
import { badInputs, CANARY, headersOf } from '../../helpers/bad-inputs.ts'
import { newAgent } from '../../helpers/fake-core.ts'
import { createDoor } from '../../helpers/http-door.ts'

describe('bad inputs', () => {
  it('are more than a hundred', () => expect(badInputs.length).toBeGreaterThan(100))

  it.each(badInputs.map((row) => [row.what, row] as const))('%s', async (_what, row) => {
    const { app, fake, logs } = createDoor()
    fake.agents.set('news', newAgent('alice', 'news'))
    fake.agents.set('bobs-id', { ...newAgent('bob', 'plan'), id: 'bobs-id' })
    const before = JSON.stringify([...fake.agents])
    const answer = await app.inject({
      method: row.method ?? 'GET',
      url: row.url,
      headers: headersOf(row) as Record<string, string>,
      ...(row.payload !== undefined && { payload: row.payload }),
    })
    expect([row.status].flat()).toContain(answer.statusCode)
    const { detail } = answer.json() as { detail: unknown }
    expect(typeof detail === 'string' ? detail.length : Array.isArray(detail) && detail.length).toBeGreaterThan(0)
    expect(answer.body.length).toBeLessThan(64_000)
    expect(answer.body).not.toContain(CANARY)
    expect(answer.body).not.toMatch(/node_modules|at .*\.ts:\d+/)
    expect(JSON.stringify([...fake.agents])).toBe(before)
    expect(fake.changes).toEqual([])
    expect(logs.lines.filter((line) => line.level !== 'debug')).toEqual([])
    expect(({} as Record<string, unknown>).role).toBeUndefined()
  })
})
