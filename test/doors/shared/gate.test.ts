import { describe, expect, it } from 'vitest'
import { createGate, type GateOptions, type RequestFacts } from '../../../src/doors/shared/gate.ts'
import { type ErrorCode, RegentError } from '../../../src/kernel/errors.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { createFakeCore } from '../../helpers/fake-core.ts'

const OURS = 1000
const TOKEN = 'a-token-of-alice-0123456789'
const loopback = { remoteAddress: '127.0.0.1', remotePort: 40_000, localAddress: '127.0.0.1', localPort: 8080 }
const json = { 'content-type': 'application/json', 'content-length': '2' }

type Peer = Partial<typeof loopback>
interface Case {
  readonly method?: string
  readonly url?: string
  /** Beside `Host: localhost:8080`; a list is sent as that many headers, null takes one away. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | null>>
  readonly peer?: Peer
  /** What /proc would tell of the peer; default: our own uid. */
  readonly uid?: number | undefined
  readonly gate?: Partial<GateOptions>
}

function factsOf({ method = 'GET', url = '/', headers = {}, peer = {} }: Case): RequestFacts {
  const all: [string, string][] = []
  for (const [name, value] of Object.entries({ host: 'localhost:8080', ...headers }))
    for (const one of [value].flat()) if (one !== null) all.push([name, one])
  return { method, url, headers: Object.fromEntries(all), rawHeaders: all.flat(), socket: { ...loopback, ...peer } }
}

function gateOf(options: Partial<GateOptions> = {}) {
  const fake = createFakeCore()
  fake.tokens.set(TOKEN, { user: 'alice', role: 'user', via: '' })
  fake.tokens.set('an-admin', { user: 'me', role: 'admin', via: '' })
  const clock = new FakeClock()
  const gate = createGate({
    ...{ identity: fake.core.identity, auth: 'auto', allowedHosts: [], allowedOrigins: [], uid: OURS, clock },
    readPeerUid: async () => OURS,
    ...options,
  })
  return { gate, clock }
}

async function outcome(of: Case): Promise<string> {
  const { gate } = gateOf({ ...('uid' in of && { readPeerUid: async () => of.uid }), ...of.gate })
  try {
    const { user, role } = await gate.admit(factsOf(of), { via: 'http' })
    return `${user} ${role}`
  } catch (error) {
    return error instanceof RegentError ? error.code : String(error)
  }
}

const bearer = { authorization: `Bearer ${TOKEN}` }
const LOCAL = 'me admin'
const REFUSED: ErrorCode = 'FORBIDDEN'
const rows: readonly (readonly [string, Case, string])[] = [
  ['the same local user without a token', {}, LOCAL],
  ['root without a token', { uid: 0 }, LOCAL],
  ['another local user without a token', { uid: 65_534 }, 'UNAUTHENTICATED'],
  ['a user whose uid cannot be read', { uid: undefined }, 'UNAUTHENTICATED'],
  ['a Regent that has no uid', { gate: { uid: undefined }, uid: undefined }, 'UNAUTHENTICATED'],
  ['a Regent whose uid stands for everybody', { gate: { uid: 65_534 }, uid: 65_534 }, 'UNAUTHENTICATED'],
  ['IPv6 loopback', { peer: { remoteAddress: '::1', localAddress: '::1' } }, LOCAL],
  ['mapped loopback', { peer: { remoteAddress: '::ffff:127.0.0.1', localAddress: '::ffff:127.0.0.1' } }, LOCAL],
  ['another address of 127/8', { peer: { remoteAddress: '127.8.9.10', localAddress: '127.8.9.10' } }, LOCAL],
  ['a peer in the network', { peer: { remoteAddress: '10.0.0.7', localAddress: '10.0.0.1' } }, 'UNAUTHENTICATED'],
  ['a docker bridge', { peer: { remoteAddress: '172.17.0.1', localAddress: '172.17.0.2' } }, 'UNAUTHENTICATED'],
  ['loopback at their end only', { peer: { localAddress: '10.0.0.1' } }, 'UNAUTHENTICATED'],
  ['a socket without addresses', { peer: { remoteAddress: undefined, localAddress: undefined } as never }, 'UNAUTHENTICATED'],
  ['an address that only begins as loopback', { peer: { remoteAddress: '127.0.0.1.evil' } }, 'UNAUTHENTICATED'],
  ['auth token: the same local user without one', { gate: { auth: 'token' } }, 'UNAUTHENTICATED'],
  ['auth token: with one', { gate: { auth: 'token' }, headers: bearer }, 'alice user'],
  ['auth none: a peer in the network', { gate: { auth: 'none' }, peer: { remoteAddress: '10.0.0.7' } }, LOCAL],
  ['auth none: a foreign Host', { gate: { auth: 'none' }, headers: { host: 'evil.example' } }, REFUSED],
  ['auth none: a foreign Origin', { gate: { auth: 'none' }, headers: { origin: 'http://evil.example' } }, REFUSED],
  [
    'auth none: a form',
    { gate: { auth: 'none' }, method: 'POST', headers: { ...json, 'content-type': 'text/plain' } },
    'UNSUPPORTED_MEDIA',
  ],

  ['Host 127.0.0.1', { headers: { host: '127.0.0.1:8080' } }, LOCAL],
  ['Host 127.1.2.3 without port', { headers: { host: '127.1.2.3' } }, LOCAL],
  ['Host [::1]', { headers: { host: '[::1]:8080' } }, LOCAL],
  ['Host LOCALHOST', { headers: { host: 'LOCALHOST' } }, LOCAL],
  ['no Host', { headers: { host: null } }, REFUSED],
  ['an empty Host', { headers: { host: '' } }, REFUSED],
  ['Host evil.example', { headers: { host: 'evil.example' } }, REFUSED],
  ['Host evil.example with a good token', { headers: { host: 'evil.example', ...bearer } }, REFUSED],
  ['Host localhost.evil.example', { headers: { host: 'localhost.evil.example' } }, REFUSED],
  ['Host 127.0.0.1.nip.io', { headers: { host: '127.0.0.1.nip.io' } }, REFUSED],
  ['Host 127.0.0.256', { headers: { host: '127.0.0.256' } }, REFUSED],
  ['Host 2130706433', { headers: { host: '2130706433' } }, REFUSED],
  ['Host 0x7f.1', { headers: { host: '0x7f.1' } }, REFUSED],
  ['Host localhost@evil.example', { headers: { host: 'localhost@evil.example' } }, REFUSED],
  ['Host with a path', { headers: { host: 'localhost/evil' } }, REFUSED],
  ['Host with no port after the colon', { headers: { host: 'localhost:' } }, REFUSED],
  ['two Hosts', { headers: { host: ['localhost', 'evil.example'] } }, 'BAD_REQUEST'],
  ['the same Host twice', { headers: { host: ['localhost', 'localhost'] } }, 'BAD_REQUEST'],
  ['a configured Host', { gate: { allowedHosts: ['desk.example'] }, headers: { host: 'Desk.Example:9443' } }, LOCAL],
  ['a configured Host with its port', { gate: { allowedHosts: ['desk.example:80'] }, headers: { host: 'desk.example:80' } }, LOCAL],
  ['a configured Host, another port', { gate: { allowedHosts: ['desk.example:80'] }, headers: { host: 'desk.example:81' } }, REFUSED],
  ['a configured IPv6 Host', { gate: { allowedHosts: ['FD00::1'] }, headers: { host: '[fd00::1]:8080' } }, LOCAL],
  ['the address that was called', { peer: { localAddress: '10.0.0.1' }, headers: { host: '10.0.0.1:8080', ...bearer } }, 'alice user'],
  ['an address that was not called', { peer: { localAddress: '10.0.0.1' }, headers: { host: '10.0.0.2:8080', ...bearer } }, REFUSED],
  ['an absolute request target', { url: 'http://evil.example/' }, 'BAD_REQUEST'],
  ['the target *', { url: '*', method: 'OPTIONS' }, 'BAD_REQUEST'],

  ['its own Origin', { headers: { origin: 'http://localhost:8080' } }, LOCAL],
  ['its own Origin, default port', { headers: { host: 'localhost', origin: 'http://localhost' } }, LOCAL],
  [
    'its own Origin behind TLS',
    { gate: { allowedHosts: ['a.example'] }, headers: { host: 'a.example', origin: 'https://a.example' } },
    LOCAL,
  ],
  ['another port of localhost', { headers: { origin: 'http://localhost:3000' } }, REFUSED],
  ['another name of loopback', { headers: { origin: 'http://127.0.0.1:8080' } }, REFUSED],
  ['a foreign Origin', { headers: { origin: 'https://evil.example' } }, REFUSED],
  ['a foreign Origin with a good token', { headers: { origin: 'https://evil.example', ...bearer } }, REFUSED],
  ['Origin null', { headers: { origin: 'null' } }, REFUSED],
  ['an empty Origin', { headers: { origin: '' } }, REFUSED],
  ['Origin of a file', { headers: { origin: 'file://' } }, REFUSED],
  ['Origin with credentials', { headers: { origin: 'http://localhost:8080@evil.example' } }, REFUSED],
  ['two Origins', { headers: { origin: ['http://localhost:8080', 'http://evil.example'] } }, 'BAD_REQUEST'],
  ['a configured Origin', { gate: { allowedOrigins: ['https://desk.example/'] }, headers: { origin: 'https://desk.example' } }, LOCAL],
  [
    'a configured Origin and its Fetch metadata',
    { gate: { allowedOrigins: ['https://desk.example'] }, headers: { origin: 'https://desk.example', 'sec-fetch-site': 'cross-site' } },
    LOCAL,
  ],
  ["an HTTP probe, which comes from Regent's own process", { headers: { 'x-regent-probe': '1' } }, REFUSED],
  ['Fetch metadata none', { headers: { 'sec-fetch-site': 'none' } }, LOCAL],
  ['Fetch metadata same-origin', { headers: { 'sec-fetch-site': 'same-origin' } }, LOCAL],
  ['Fetch metadata same-site', { headers: { 'sec-fetch-site': 'same-site' } }, REFUSED],
  ['Fetch metadata cross-site (an image)', { headers: { 'sec-fetch-site': 'cross-site' } }, REFUSED],

  ['X-Forwarded-For', { headers: { 'x-forwarded-for': '1.2.3.4' } }, 'UNAUTHENTICATED'],
  ['X-Forwarded-Proto', { headers: { 'x-forwarded-proto': 'https' } }, 'UNAUTHENTICATED'],
  ['Forwarded', { headers: { forwarded: 'for=1.2.3.4' } }, 'UNAUTHENTICATED'],
  ['Via', { headers: { via: '1.1 proxy' } }, 'UNAUTHENTICATED'],
  ['X-Real-IP', { headers: { 'x-real-ip': '1.2.3.4' } }, 'UNAUTHENTICATED'],
  ['a proxy with a token', { headers: { 'x-forwarded-for': '1.2.3.4', ...bearer } }, 'alice user'],

  ['a JSON body', { method: 'POST', headers: json }, LOCAL],
  ['a JSON body with its charset', { method: 'POST', headers: { ...json, 'content-type': 'Application/JSON; charset="UTF-8"' } }, LOCAL],
  [
    'a JSON body in another charset',
    { method: 'POST', headers: { ...json, 'content-type': 'application/json; charset=utf-16' } },
    'UNSUPPORTED_MEDIA',
  ],
  ['text/plain', { method: 'POST', headers: { ...json, 'content-type': 'text/plain' } }, 'UNSUPPORTED_MEDIA'],
  ['a form', { method: 'POST', headers: { ...json, 'content-type': 'application/x-www-form-urlencoded' } }, 'UNSUPPORTED_MEDIA'],
  ['application/jsonp', { method: 'POST', headers: { ...json, 'content-type': 'application/jsonp' } }, 'UNSUPPORTED_MEDIA'],
  ['a body of no type', { method: 'POST', headers: { 'content-length': '2' } }, 'UNSUPPORTED_MEDIA'],
  ['a chunked body of no type', { method: 'POST', headers: { 'transfer-encoding': 'chunked' } }, 'UNSUPPORTED_MEDIA'],
  [
    'two media types',
    { method: 'POST', headers: { 'content-length': '2', 'content-type': ['application/json', 'text/plain'] } },
    'BAD_REQUEST',
  ],
  ['a POST of nothing', { method: 'POST' }, LOCAL],
  ['a POST of length 0', { method: 'POST', headers: { 'content-length': '0' } }, LOCAL],
  ['a DELETE with text/plain', { method: 'DELETE', headers: { ...json, 'content-type': 'text/plain' } }, 'UNSUPPORTED_MEDIA'],

  ['a token', { headers: bearer }, 'alice user'],
  ['a token, bearer in lower case', { headers: { authorization: `bearer ${TOKEN}` } }, 'alice user'],
  ['a token from another local user', { headers: bearer, uid: 65_534 }, 'alice user'],
  ['a token from the network', { headers: bearer, peer: { remoteAddress: '10.0.0.7' } }, 'alice user'],
  ['a wrong token, though local', { headers: { authorization: 'Bearer wrong' } }, 'UNAUTHENTICATED'],
  ['a token and more', { headers: { authorization: `Bearer ${TOKEN}x` } }, 'UNAUTHENTICATED'],
  ['an empty token', { headers: { authorization: 'Bearer ' } }, 'UNAUTHENTICATED'],
  ['Basic', { headers: { authorization: 'Basic bWU6bWU=' } }, 'UNAUTHENTICATED'],
  ['two tokens', { headers: { authorization: [`Bearer ${TOKEN}`, 'Bearer wrong'] } }, 'BAD_REQUEST'],
  ['a token in the address', { url: `/?token=${TOKEN}` }, 'UNAUTHENTICATED'],
  ['an access_token in the address', { url: `/?a=1&access_token=${TOKEN}` }, 'UNAUTHENTICATED'],
  ['a token in the address beside a good one', { url: '/?token=x', headers: bearer }, 'UNAUTHENTICATED'],
]

describe('the gate decides', () => {
  it('over at least 60 rows', () => expect(rows.length).toBeGreaterThanOrEqual(60))
  it.each(rows)('%s [I2-GATE-01] [I2-GATE-02] [F64]', async (_what, facts, expected) => {
    expect(await outcome(facts)).toBe(expected)
  })
})

describe('the gate', () => {
  it('says how to send a token', async () => {
    const { gate } = gateOf({ auth: 'token' })
    await expect(gate.admit(factsOf({}), { via: 'http' })).rejects.toMatchObject({
      status: 401,
      hint: expect.stringContaining('Authorization: Bearer'),
    })
  })

  it('never repeats a token in an error', async () => {
    for (const of of [{ url: `/?token=${TOKEN}` }, { headers: { authorization: `Bearer ${TOKEN}x` } }]) {
      const { gate } = gateOf()
      const error: unknown = await gate.admit(factsOf(of), { via: 'http' }).catch((thrown: unknown) => thrown)
      expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain(TOKEN)
    }
  })

  it('reads the uid once for a connection, and only when it is needed', async () => {
    let readings = 0
    const { gate } = gateOf({
      readPeerUid: async () => {
        readings++
        return OURS
      },
    })
    const facts = factsOf({})
    await gate.admit({ ...factsOf({ headers: bearer }), socket: facts.socket }, { via: 'http' })
    expect(readings).toBe(0)
    await gate.admit(facts, { via: 'http' })
    await gate.admit(facts, { via: 'http' })
    expect(readings).toBe(1)
    await gate.admit(factsOf({}), { via: 'http' })
    expect(readings).toBe(2)
  })

  it('limits a user’s requests and tells when to come back; others and admins are not held up [I2-GATE-03]', async () => {
    const { gate, clock } = gateOf()
    const ask = (token: string) => gate.admit(factsOf({ headers: { authorization: `Bearer ${token}` } }), { via: 'http' })
    for (let count = 0; count < 100; count++) await ask(TOKEN)
    await expect(ask(TOKEN)).rejects.toMatchObject({ code: 'TOO_MANY', retryAfter: 0.02 })
    for (let count = 0; count < 300; count++) await ask('an-admin')
    clock.advance(20)
    await expect(ask(TOKEN)).resolves.toMatchObject({ user: 'alice' })
    await expect(ask(TOKEN)).rejects.toMatchObject({ code: 'TOO_MANY' })
  })

  it('limits a user’s creates apart [I2-GATE-03]', async () => {
    const { gate } = gateOf()
    const create = () => gate.admit(factsOf({ headers: bearer }), { via: 'http', creates: true })
    for (let count = 0; count < 10; count++) await create()
    await expect(create()).rejects.toMatchObject({ code: 'TOO_MANY' })
    await expect(gate.admit(factsOf({ headers: bearer }), { via: 'http' })).resolves.toMatchObject({ user: 'alice' })
  })

  it('limits failed authentications of an address, and still knows a good token from there [I2-GATE-03]', async () => {
    const { gate } = gateOf()
    const guess = (peer: Peer = {}) => gate.admit(factsOf({ headers: { authorization: 'Bearer guess' }, peer }), { via: 'http' })
    for (let count = 0; count < 20; count++) await expect(guess()).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await expect(guess()).rejects.toMatchObject({ code: 'TOO_MANY', retryAfter: 1 })
    await expect(guess({ remoteAddress: '127.0.0.2' })).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
    await expect(gate.admit(factsOf({ headers: bearer }), { via: 'http' })).resolves.toMatchObject({ user: 'alice' })
  })
})
