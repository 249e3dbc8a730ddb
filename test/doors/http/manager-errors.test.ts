import { describe, expect, it } from 'vitest'
import { newAgent } from '../../helpers/fake-core.ts'
import { ADMIN, as } from '../../helpers/http-door.ts'
import { managerDoor, smallConfig } from '../../helpers/manager-door.ts'

const without = (key: keyof typeof smallConfig): object => Object.fromEntries(Object.entries(smallConfig).filter(([name]) => name !== key))
const member = { name: 'reader', instruction: 'Read feeds' }
const invalid: readonly (readonly [string, unknown, readonly object[]])[] = [
  ...(['username', 'name', 'subagents', 'json_config'] as const).map(
    (key) => [`no ${key}`, without(key), [{ type: 'missing', loc: ['body', key], msg: 'Field required', input: without(key) }]] as const,
  ),
  [
    'username a number',
    { ...smallConfig, username: 5 },
    [{ type: 'string_type', loc: ['body', 'username'], msg: 'Input should be a valid string', input: 5 }],
  ],
  [
    'name null',
    { ...smallConfig, name: null },
    [{ type: 'string_type', loc: ['body', 'name'], msg: 'Input should be a valid string', input: null }],
  ],
  [
    'subagents an object',
    { ...smallConfig, subagents: {} },
    [{ type: 'list_type', loc: ['body', 'subagents'], msg: 'Input should be a valid list', input: {} }],
  ],
  [
    'a subagent a text',
    { ...smallConfig, subagents: ['x'] },
    [
      {
        type: 'model_attributes_type',
        loc: ['body', 'subagents', 0],
        msg: 'Input should be a valid dictionary or object to extract fields from',
        input: 'x',
      },
    ],
  ],
  [
    'a subagent without name',
    { ...smallConfig, subagents: [{ instruction: 'x' }] },
    [{ type: 'missing', loc: ['body', 'subagents', 0, 'name'], msg: 'Field required', input: { instruction: 'x' } }],
  ],
  [
    'servers a text',
    { ...smallConfig, subagents: [{ ...member, servers: 'x' }] },
    [{ type: 'list_type', loc: ['body', 'subagents', 0, 'servers'], msg: 'Input should be a valid list', input: 'x' }],
  ],
  [
    'a server a number',
    { ...smallConfig, subagents: [member, { ...member, servers: ['x', 1] }] },
    [{ type: 'string_type', loc: ['body', 'subagents', 1, 'servers', 1], msg: 'Input should be a valid string', input: 1 }],
  ],
  [
    'a model null',
    { ...smallConfig, subagents: [{ ...member, model: null }] },
    [{ type: 'string_type', loc: ['body', 'subagents', 0, 'model'], msg: 'Input should be a valid string', input: null }],
  ],
  [
    'json_config a list',
    { ...smallConfig, json_config: [] },
    [{ type: 'dict_type', loc: ['body', 'json_config'], msg: 'Input should be a valid dictionary', input: [] }],
  ],
  [
    'initial_task a list',
    { ...smallConfig, initial_task: [] },
    [{ type: 'string_type', loc: ['body', 'initial_task'], msg: 'Input should be a valid string', input: [] }],
  ],
  [
    'a list',
    [],
    [
      {
        type: 'model_attributes_type',
        loc: ['body'],
        msg: 'Input should be a valid dictionary or object to extract fields from',
        input: [],
      },
    ],
  ],
  [
    'several faults at once',
    { username: 1, name: 'x', subagents: 2, json_config: {} },
    [
      { type: 'string_type', loc: ['body', 'username'], msg: 'Input should be a valid string', input: 1 },
      { type: 'list_type', loc: ['body', 'subagents'], msg: 'Input should be a valid list', input: 2 },
    ],
  ],
]

describe('422 as FastAPI has it', () => {
  it.each(invalid)('%s [I2-API-02]', async (_what, payload, detail) => {
    const { call, fake } = managerDoor()
    expect(await call('POST', '/agents', { payload: payload as object })).toEqual([422, { detail }])
    expect(fake.seen).toEqual([])
  })

  it('no body, and one that is no JSON', async () => {
    const { call } = managerDoor()
    expect(await call('POST', '/agents')).toEqual([
      422,
      { detail: [{ type: 'missing', loc: ['body'], msg: 'Field required', input: null }] },
    ])
    const broken = await call('POST', '/agents', {
      payload: '{"username": ',
      headers: { ...as(ADMIN), 'content-type': 'application/json' },
    })
    expect(broken).toMatchObject([422, { detail: [{ type: 'json_invalid', loc: ['body', 13], msg: 'JSON decode error', input: {} }] }])
  })

  it.each([
    ['GET', '/agents/news'],
    ['POST', '/agents/news/start'],
    ['POST', '/agents/news/stop'],
    ['DELETE', '/agents/news'],
  ])('%s %s without username, and with two', async (method, url) => {
    const { call } = managerDoor(newAgent('bo', 'news'))
    const missing = { type: 'missing', loc: ['query', 'username'], msg: 'Field required', input: null }
    expect(await call(method, url)).toEqual([422, { detail: [missing] }])
    expect(await call(method, `${url}?username=bo&username=alice`)).toMatchObject([
      422,
      { detail: [{ type: 'string_type', loc: ['query', 'username'] }] },
    ])
  })

  it('never sends a secret back', async () => {
    const { call } = managerDoor()
    const [, body] = await call('POST', '/agents', {
      payload: {
        name: 'x',
        json_config: { anthropic: { api_key: 'canary' }, mcp: { servers: { a: { env: { A: 'canary' }, headers: { B: 'canary' } } } } },
      },
    })
    expect(body).toMatchObject({ detail: [{ type: 'missing' }, { type: 'missing' }] })
    expect(JSON.stringify(body)).not.toContain('canary')
  })

  it('what the core finds wrong, at its place', async () => {
    const { call } = managerDoor()
    const payload = { ...smallConfig, json_config: { pubsub_enabled: 'yes' } }
    expect(await call('POST', '/agents', { payload })).toMatchObject([
      422,
      { detail: [{ type: 'value_error', loc: ['body', 'json_config', 'pubsub_enabled'] }] },
    ])
  })
})
