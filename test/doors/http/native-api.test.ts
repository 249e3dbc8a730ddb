import { describe, expect, it } from 'vitest'
import { operationList } from '../../../src/contract/operations.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { newAgent } from '../../helpers/fake-core.ts'
import { ADMIN, ALICE, as, BOB, createDoor, READER } from '../../helpers/http-door.ts'

const command = { kind: 'command', name: 'web', command: ['sleep', '60'] }

describe('the native API', () => {
  it('serves every operation of the table at its address', async () => {
    const { app } = createDoor()
    await app.ready()
    for (const { http } of operationList) expect(app.hasRoute({ method: http.method, url: http.path }), http.path).toBe(true)
  })

  it('creates with 201, Location and ETag, for the owner of the token', async () => {
    const { app, fake } = createDoor()
    const answer = await app.inject({ method: 'POST', url: '/api/v1/agents', headers: as(ALICE), payload: { agent: command } })
    expect(answer.statusCode).toBe(201)
    expect(answer.json()).toMatchObject({ owner: 'alice', name: 'web', revision: 1 })
    expect(answer.headers).toMatchObject({ location: `/api/v1/agents/${answer.json().id}`, etag: '"1"' })
    expect(fake.seen.at(-1)?.context.caller).toEqual({ user: 'alice', role: 'user', via: 'http' })
  })

  it('takes owner/name encoded in the path, and an empty body as {}', async () => {
    const { app, fake } = createDoor()
    fake.agents.set('1', { ...newAgent('alice', 'news'), id: '1' })
    for (const headers of [{}, { 'content-type': 'application/json' }]) {
      const answer = await app.inject({ method: 'POST', url: '/api/v1/agents/alice%2Fnews/start', headers: { ...as(ADMIN), ...headers } })
      expect(answer.statusCode).toBe(200)
      expect(fake.seen.at(-1)).toMatchObject({ name: 'agents.start', input: { agent: 'alice/news' } })
    }
  })

  it('puts path, query and body together', async () => {
    const { app, fake } = createDoor()
    fake.agents.set('1', { ...newAgent('alice', 'news'), id: '1' })
    const url = '/api/v1/agents/news/start?timeout=500'
    expect((await app.inject({ method: 'POST', url, headers: as(ALICE), payload: { wait: true } })).statusCode).toBe(200)
    expect(fake.seen.at(-1)?.input).toEqual({ agent: 'news', timeout: '500', wait: true })
  })

  it.each([
    ['in query and body', '/api/v1/agents/news/start?wait=true', { wait: true }, 'wait'],
    ['in path and query', '/api/v1/agents/news/start?agent=other', {}, 'agent'],
    ['in path and body', '/api/v1/agents/news/start', { agent: 'other' }, 'agent'],
    ['in the query twice', '/api/v1/agents/news/start?timeout=1&timeout=2', {}, 'timeout'],
  ])('refuses a key given twice: %s', async (_where, url, payload, path) => {
    const { app, fake } = createDoor()
    const answer = await app.inject({ method: 'POST', url, headers: as(ALICE), payload })
    expect(answer.statusCode).toBe(422)
    expect(answer.json().errors).toEqual([{ path, message: 'is given twice' }])
    expect(fake.seen).toEqual([])
  })

  it('hands the idempotency key of a change to the core, and none of a reading', async () => {
    const { app, fake } = createDoor()
    const headers = { ...as(ALICE), 'idempotency-key': 'once-1' }
    await app.inject({ method: 'POST', url: '/api/v1/agents', headers, payload: { agent: command } })
    expect(fake.seen.at(-1)?.context.key).toBe('once-1')
    await app.inject({ url: '/api/v1/agents', headers })
    expect(fake.seen.at(-1)?.context).not.toHaveProperty('key')
    const bad = await app.inject({
      method: 'POST',
      url: '/api/v1/agents',
      headers: { ...headers, 'idempotency-key': 'a b' },
      payload: { agent: command },
    })
    expect(bad.json()).toMatchObject({ status: 422, errors: [{ path: 'Idempotency-Key' }] })
  })

  it('takes If-Match as the revision that was read', async () => {
    const { app, fake } = createDoor()
    fake.agents.set('1', { ...newAgent('alice', 'news'), id: '1' })
    const patch = (etag: string) =>
      app.inject({
        method: 'PATCH',
        url: '/api/v1/agents/news',
        headers: { ...as(ALICE), 'if-match': etag },
        payload: { definition: { a: 1 } },
      })
    const read = await app.inject({ url: '/api/v1/agents/news', headers: as(ALICE) })
    const changed = await patch(String(read.headers.etag))
    expect([changed.statusCode, changed.headers.etag]).toEqual([200, '"2"'])
    expect((await patch(String(read.headers.etag))).json()).toMatchObject({ status: 412, code: 'STALE' })
    expect((await patch('W/"2"')).statusCode).toBe(422)
    expect((await patch('*')).statusCode).toBe(200)
  })

  it('answers errors as RFC 9457, with hint, fields and request id', async () => {
    const { app, fake } = createDoor()
    const headers = { ...as(ALICE), 'x-request-id': 'abc.1' }
    const missing = await app.inject({ url: '/api/v1/agents/nobody', headers })
    expect(missing.headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(missing.headers['x-request-id']).toBe('abc.1')
    expect(missing.json()).toEqual({
      type: 'urn:regent:error:NOT_FOUND',
      title: 'Not found',
      status: 404,
      code: 'NOT_FOUND',
      detail: 'no agent nobody',
      hint: 'regent ps lists them',
      errors: [],
      request_id: 'abc.1',
    })
    const invalid = await app.inject({ url: '/api/v1/agents?limit=0', headers: { ...headers, 'x-request-id': 'no good\u0001' } })
    expect(invalid.json()).toMatchObject({ status: 422, code: 'INVALID', errors: [{ path: 'limit' }] })
    expect(invalid.json().request_id).toMatch(/^[0-9a-f-]{36}$/)
    fake.answers.set('agents.list', () => {
      throw new RegentError('UNAVAILABLE', 'the store is down', { retryAfter: 2.5 })
    })
    const down = await app.inject({ url: '/api/v1/agents', headers })
    expect([down.statusCode, down.headers['retry-after']]).toEqual([503, '3'])
  })

  it('answers what nobody expected with 500 and a request id, logs it once without secrets, and lives on', async () => {
    const { app, fake, logs } = createDoor()
    fake.answers.set('agents.list', () => {
      throw new Error('broken: {"api_key":"sk-ant-canary-123456"} Bearer canary-token')
    })
    const answer = await app.inject({ url: '/api/v1/agents', headers: as(ALICE) })
    expect(answer.json()).toMatchObject({ status: 500, code: 'INTERNAL', detail: 'something went wrong inside Regent' })
    expect(answer.body + logs.text()).not.toContain('canary')
    expect(logs.lines).toEqual([
      { level: 'error', message: expect.any(String), fields: expect.objectContaining({ request_id: answer.json().request_id }) },
    ])
    expect((await app.inject({ url: '/api/v1/status', headers: as(ALICE) })).statusCode).toBe(200)
  })

  it('knows roles and owners: a reader changes nothing, another user’s agent is not there', async () => {
    const { app, fake } = createDoor()
    fake.agents.set('1', { ...newAgent('alice', 'news'), id: '1' })
    expect((await app.inject({ method: 'POST', url: '/api/v1/agents/news/start', headers: as(READER) })).statusCode).toBe(403)
    const other = await app.inject({ url: '/api/v1/agents/1', headers: as(BOB) })
    expect([other.statusCode, other.body.includes('alice')]).toEqual([404, false])
    expect((await app.inject({ url: '/api/v1/agents', headers: as(BOB) })).json().agents).toEqual([])
    expect(fake.changes).toEqual([])
  })

  it('says 404 for what is not there and 405 with Allow for another method', async () => {
    const { app } = createDoor()
    const nothing = await app.inject({ url: '/api/v2/agents', headers: as(ALICE) })
    expect(nothing.json()).toMatchObject({ status: 404, code: 'NOT_FOUND', hint: 'see /docs for what is' })
    const wrong = await app.inject({ method: 'PUT', url: '/api/v1/agents/x', headers: as(ALICE) })
    expect([wrong.statusCode, wrong.headers.allow]).toEqual([405, 'DELETE, GET, HEAD, PATCH'])
    expect((await app.inject({ method: 'OPTIONS', url: '/agents', headers: as(ALICE) })).headers.allow).toBe('GET, HEAD, POST')
  })

  it('sends the security headers with every answer, and no CORS', async () => {
    const { app } = createDoor()
    for (const [url, headers] of [
      ['/api/v1/agents', as(ALICE)],
      ['/nothing', as(ALICE)],
      ['/api/v1/agents', {}],
    ] as const) {
      const answer = await app.inject({ url, headers })
      expect(answer.headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'self'; frame-ancestors 'none'",
        'cache-control': 'no-store',
      })
      expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
    }
  })

  it('limits creates and tells when to come back [I2-GATE-03]', async () => {
    const { app } = createDoor()
    const create = (at: number) =>
      app.inject({ method: 'POST', url: '/api/v1/agents', headers: as(ALICE), payload: { agent: { ...command, name: `web${at}` } } })
    const answers = await Promise.all(Array.from({ length: 14 }, (_, at) => create(at)))
    const refused = answers.filter((answer) => answer.statusCode === 429)
    expect(refused.length).toBeGreaterThanOrEqual(3)
    expect(refused[0]?.headers['retry-after']).toBe('1')
  })
})
