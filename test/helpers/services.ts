// Which servers a test may use: those that `npm run services` started, or those that REGENT_TEST_<SERVICE>_URL names.
// A suite that needs an absent one is skipped with the reason; with REGENT_TEST_SERVICES=required it fails instead.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'vitest'
import { probe } from '../../scripts/services/probes.mjs'

declare module 'vitest' {
  interface TaskMeta {
    /** Why a test is skipped. `npm test` prints it, and fails on a skipped test that gives none. */
    skipReason?: string
  }
}

/** The addresses of each service, as they are where nothing else holds the scratch ports. */
const usual = {
  redis: { url: 'redis://127.0.0.1:16379' },
  rabbitmq: {
    url: 'amqp://guest:guest@127.0.0.1:15672',
    stomp: 'stomp://guest:guest@127.0.0.1:15674',
    management: 'http://guest:guest@127.0.0.1:15671',
  },
  activemq: { url: 'stomp://127.0.0.1:16613' },
  postgres: { url: 'postgres://regent@127.0.0.1:15432/regent' },
  kafka: { url: 'kafka://127.0.0.1:19092' },
  docker: { url: 'unix:///var/run/docker.sock' },
  chromium: { url: '/usr/bin/chromium' },
  supervisor: { url: '/usr/bin/supervisorctl', daemon: '/usr/bin/supervisord' },
  claude: { url: '/usr/bin/claude' },
  'mcp-conformance': { url: '/usr/bin/conformance' },
} as const satisfies Record<string, { url: string } & Record<string, string>>

export type Service = keyof typeof usual
export type Urls<S extends Service> = { readonly [Name in keyof (typeof usual)[S]]: string }

/** A service as this run finds it. `urls` are usable only where it is available; `reason` says why it is not. */
export type Need<S extends Service> = {
  readonly available: boolean
  readonly url: string
  readonly urls: Urls<S>
  readonly reason: string | undefined
}

type Env = Readonly<Record<string, string | undefined>>
type State = Readonly<Partial<Record<string, { urls: Record<string, string> }>>>

const env: Env = process.env
const folder = env.REGENT_TEST_SERVICES_DIR ?? join(import.meta.dirname, '../../.services')
const found = await findAll(stateIn(folder), env)

/** Whether a service can be used, and where. */
export function needs<S extends Service>(service: S): Need<S> {
  return found.get(service) as Need<S>
}

/** A suite that runs against a service; `suite` gets its addresses. */
export function describeWith<S extends Service>(service: S, name: string, suite: (urls: Urls<S>) => void): void {
  const { available, urls, reason = '' } = needs(service)
  if (available) describe(name, () => suite(urls))
  else if (env.REGENT_TEST_SERVICES === 'required') describe(name, () => failing(service, reason))
  else describe(name, { skip: true, meta: { skipReason: `needs ${service}: ${reason}` } }, () => suite(urls))
}

function failing(service: Service, reason: string): void {
  it(`needs ${service}`, () => {
    throw new Error(`${service} is required (REGENT_TEST_SERVICES=required): ${reason}`)
  })
}

/** Looks for every service at once. */
export async function findAll(state: State, from: Env): Promise<ReadonlyMap<Service, Need<Service>>> {
  const names = Object.keys(usual) as Service[]
  return new Map(await Promise.all(names.map(async (name) => [name, await find(name, state, from)] as const)))
}

async function find(service: Service, state: State, from: Env): Promise<Need<Service>> {
  const named = addressesFrom(service, from)
  const urls = { ...usual[service], ...state[service]?.urls, ...named }
  const known = state[service] !== undefined || Object.keys(named).length > 0
  const problem = known ? await firstProblem(Object.values(urls)) : 'not running; `npm run services` starts it'
  return { available: problem === undefined, url: urls.url, urls, reason: problem }
}

async function firstProblem(addresses: string[]): Promise<string | undefined> {
  const problems = await Promise.all(addresses.map((address) => probe(address)))
  return problems.find((problem) => problem !== undefined)
}

/** REGENT_TEST_RABBITMQ_URL is the `url` of rabbitmq, REGENT_TEST_RABBITMQ_STOMP_URL its `stomp`. */
function addressesFrom(service: Service, from: Env): Record<string, string> {
  const variable = (name: string) => `REGENT_TEST_${service}${name === 'url' ? '' : `_${name}`}_URL`.toUpperCase().replaceAll('-', '_')
  const named = Object.keys(usual[service]).map((name) => [name, from[variable(name)]] as const)
  return Object.fromEntries(named.filter((entry): entry is readonly [string, string] => entry[1] !== undefined))
}

function stateIn(home: string): State {
  try {
    return (JSON.parse(readFileSync(join(home, 'state.json'), 'utf8')) as { services: State }).services
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}
