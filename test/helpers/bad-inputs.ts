import { ALICE, as, READER } from './http-door.ts'
import { smallConfig } from './manager-door.ts'

/** A secret that every request brings along, and that no log and no foreign answer may hold. */
export const CANARY = 'sk-ant-canary-0123456789'
const native = '/api/v1/agents'
const own = '/agents/news/start?username=alice'
const config = { ...smallConfig, username: 'alice', name: 'fresh' }
const command = { kind: 'command', name: 'fresh', command: ['true'], env: { KEY: CANARY } }

export interface Bad {
  readonly what: string
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT'
  readonly url: string
  readonly headers?: Record<string, string | readonly string[]>
  readonly payload?: string | object
  readonly status: number | readonly number[]
}

const post = (what: string, url: string, payload: string | object, status: Bad['status']): Bad => ({
  what,
  method: 'POST',
  url,
  payload,
  status,
})
/** The same at both doors for a definition: `{ "agent": … }` and the config itself. */
const both = (what: string, change: object): Bad[] => [
  post(`manager API: ${what}`, '/agents', { ...config, ...change }, 422),
  post(`native API: ${what}`, native, { agent: { ...command, ...change } }, 422),
]
const named = (name: unknown): Bad[] => both(`name ${JSON.stringify(name).slice(0, 40)}`, { name })

const names = [
  '../x',
  '..',
  '.',
  'a/b',
  '%2e%2e%2f',
  'a\u0000b',
  'a\nb',
  '.git',
  '',
  ' ',
  'x'.repeat(300),
  'nаme',
  '-rf',
  'a;b',
  '$(id)',
  5,
  null,
  [],
  {},
  true,
]
const texts: readonly (readonly [string, string])[] = [
  ['no JSON', '{"agent": nope}'],
  ['half of it', '{"agent": {"kind": "command"'],
  ['two documents', '{} {}'],
  ['a single quote', "{'a': 1}"],
  ['NaN', '{"limit": NaN}'],
  ['a BOM', '\ufeff{}'],
]
const odd: readonly (readonly [string, string])[] = [
  ['a key twice', '{"agent":{"kind":"command","name":"fresh","name":"other","command":["true"]}}'],
  ['an escaped key twice', '{"start":true,"st\\u0061rt":false,"agent":{}}'],
  ['__proto__', '{"__proto__":{"role":"admin"},"agent":{"kind":"command","name":"fresh","command":["true"]}}'],
  ['__proto__ within', '{"agent":{"kind":"command","name":"fresh","command":["true"],"env":{"__proto__":"x"}}}'],
  ['constructor.prototype', '{"agent":{"kind":"command","name":"fresh","command":["true"]},"constructor":{"prototype":{"role":"admin"}}}'],
  ['1e999', '{"agent":{"kind":"command","name":"fresh","command":["true"],"limits":{"cpus":1e999}}}'],
  [
    'a huge integer',
    '{"agent":{"kind":"command","name":"fresh","command":["true"],"limits":{"memory_bytes":123456789012345678901234567890}}}',
  ],
  ['NUL in a text', '{"agent":{"kind":"command","name":"fresh","command":["a\\u0000b"]}}'],
  ['half a surrogate pair', '{"agent":{"kind":"command","name":"fresh","command":["\\ud800"]}}'],
  ['a depth of 65', `{"agent":${'{"a":'.repeat(65)}1${'}'.repeat(65)}}`],
  ['a depth of 100,000', '['.repeat(100_000) + ']'.repeat(100_000)],
  ['a list', '[]'],
  ['a text', '"x"'],
  ['a number', '7'],
]

/** Requests that must change nothing, with the status that each deserves. They speak as ALICE where they do not say otherwise. */
export const badInputs: readonly Bad[] = [
  ...names.flatMap(named),
  ...texts.flatMap(([what, text]) => [post(`manager API: ${what}`, '/agents', text, 422), post(`native API: ${what}`, native, text, 400)]),
  ...odd.flatMap(([what, text]) => [post(`manager API: ${what}`, '/agents', text, 422), post(`native API: ${what}`, native, text, 422)]),
  ...both('a key of Regent’s own record', { pid: 1 }),
  ...both('is_admin', { is_admin: true }),
  ...both('another owner', { owner: 5 }),
  post('10 MB at the manager API', '/agents', { ...config, initial_task: 'x'.repeat(10_000_000) }, 413),
  post('10 MB at the native API', native, { agent: { ...command, command: ['x'.repeat(10_000_000)] } }, 413),
  post('a hundred thousand subagents', '/agents', { ...config, subagents: Array.from({ length: 100_000 }, () => 0) }, 422),
  post(
    'more subagents than allowed',
    '/agents',
    { ...config, subagents: Array.from({ length: 300 }, (_, at) => ({ name: `s${at}`, instruction: '' })) },
    422,
  ),
  post('no agent', native, {}, 422),
  post('an unknown kind', native, { agent: { ...command, kind: 'rocket' } }, 422),
  post('an unknown key', native, { agent: command, admin: true }, 422),
  post('no command', native, { agent: { kind: 'command', name: 'fresh' } }, 422),
  post('an empty command', native, { agent: { ...command, command: [] } }, 422),
  post('a variable with =', native, { agent: { ...command, env: { 'A=B': 'x' } } }, 422),
  post('a negative limit', native, { agent: { ...command, limits: { memory_bytes: -1 } } }, 422),
  post('an unknown signal', native, { agent: { ...command, policy: { stop_signal: 'STOP' } } }, 422),
  post('username missing at start', '/agents/news/start', {}, 422),
  post('another user’s create', '/agents', { ...config, username: 'bob' }, 404),
  post('another user’s start', '/agents/plan/start?username=bob', {}, 404),
  post('another user’s agent by its id', `${native}/bobs-id/start`, {}, 404),
  post('another user’s agent by owner/name', `${native}/bob%2Fplan/stop`, {}, 404),
  post('a create for another owner', native, { agent: { ...command, owner: 'bob' } }, 404),
  post('a path out of the agents', '/agents/..%2f..%2fetc/start?username=alice', {}, 422),
  post('a path with NUL', '/agents/a%00b/stop?username=alice', {}, 422),
  post('a path that is no UTF-8', '/agents/%ff/stop?username=alice', {}, 400),
  post('a path that is no encoding', '/agents/%zz/stop?username=alice', {}, 400),
  post('a path part of 2,000 characters', `/agents/${'x'.repeat(2000)}/stop?username=alice`, {}, [400, 414]),
  post('username with NUL', '/agents/news/start?username=a%00', {}, 422),
  post('username twice', '/agents/news/start?username=alice&username=bob', {}, 422),
  post('NUL in a native path', `${native}/a%00b/start`, {}, 422),
  post('a key in query and body', `${native}/news/start?wait=true`, { wait: true }, 422),
  post('a token for oneself', '/api/v1/tokens', { user: 'alice', role: 'admin' }, 403),
  post('a message of nothing', `${native}/news/messages`, { content: '' }, 422),
  post('a message that is no text', `${native}/news/messages`, { content: { a: 1 } }, 422),
  post('a message with a bad id', `${native}/news/messages`, { content: 'x', id: '../x' }, 422),
  { what: 'limit 0', url: `${native}?limit=0`, status: 422 },
  { what: 'limit 1e9', url: `${native}?limit=1e9`, status: 422 },
  { what: 'an unknown query', url: `${native}?admin=1`, status: 422 },
  { what: '__proto__ in the query', url: `${native}?__proto__=1`, status: 422 },
  { what: 'owner ../', url: `${native}?owner=..%2f`, status: 422 },
  { what: 'an unknown event type', url: '/api/v1/events/history?types=root.shell', status: 422 },
  { what: 'a negative position', url: '/api/v1/events?after=-1', status: 422 },
  { what: 'a Last-Event-ID that is none', url: '/api/v1/events', headers: { 'last-event-id': '1; drop' }, status: 422 },
  { what: 'If-Match that is none', method: 'PATCH', url: `${native}/news`, headers: { 'if-match': 'abc' }, payload: {}, status: 422 },
  { what: 'an old revision', method: 'PATCH', url: `${native}/news`, headers: { 'if-match': '"77"' }, payload: {}, status: 412 },
  { what: 'another user’s list', url: '/agents?username=bob', status: 404 },
  { what: 'another user’s details', url: '/agents/plan?username=bob', status: 404 },
  { what: 'another user’s agent', url: `${native}/bobs-id`, status: 404 },
  { what: 'another user’s delete', method: 'DELETE', url: '/agents/plan?username=bob', status: 404 },
  { what: 'a method that is not there', method: 'PUT', url: native, payload: {}, status: 405 },
  { what: 'a path that is not there', url: '/api/v1/admin', status: 404 },
  { what: 'a path outside', url: '/docs/..%2f..%2fpackage.json', status: 404 },
  { what: 'text/plain', method: 'POST', url: own, headers: { 'content-type': 'text/plain' }, payload: '{}', status: 415 },
  {
    what: 'a form',
    method: 'POST',
    url: own,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: 'a=1',
    status: 415,
  },
  {
    what: 'multipart',
    method: 'POST',
    url: own,
    headers: { 'content-type': 'multipart/form-data; boundary=x' },
    payload: '--x--',
    status: 415,
  },
  { what: 'UTF-16', method: 'POST', url: own, headers: { 'content-type': 'application/json; charset=utf-16' }, payload: '{}', status: 415 },
  { what: 'a foreign Host', method: 'POST', url: own, headers: { host: 'evil.example' }, status: 403 },
  { what: 'a foreign Origin', method: 'POST', url: own, headers: { origin: 'https://evil.example' }, status: 403 },
  { what: 'Origin null', method: 'POST', url: own, headers: { origin: 'null' }, status: 403 },
  { what: 'a foreign page', method: 'POST', url: own, headers: { 'sec-fetch-site': 'cross-site' }, status: 403 },
  { what: 'no token', method: 'POST', url: own, headers: { authorization: '' }, status: 401 },
  { what: 'a wrong token', method: 'POST', url: own, headers: { authorization: 'Bearer nobody' }, status: 401 },
  { what: 'Basic', method: 'POST', url: own, headers: { authorization: 'Basic YTpi' }, status: 401 },
  { what: 'a token in the address', method: 'POST', url: `${own}&token=${CANARY}`, status: 401 },
  { what: 'who may only read', method: 'POST', url: own, headers: as(READER), status: 403 },
]

/** The headers of a row, with what all of them have. */
export function headersOf(row: Bad): Record<string, string | readonly string[]> {
  const json = row.payload === undefined ? {} : { 'content-type': 'application/json' }
  return { ...as(ALICE), ...json, 'x-canary': CANARY, ...row.headers }
}
