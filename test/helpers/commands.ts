import type { Regent } from './regent.ts'

export interface Seen {
  readonly id: string
  readonly name: string
  readonly state: string
  readonly reason: string
  readonly pid: number | null
  readonly uptime_ms: number | null
  readonly restarts: number
  readonly exit_code: number | null
  readonly exit_signal: string | null
}

/** Creates a command agent by the API; answers its id. */
export async function create(regent: Regent, name: string, script: string, policy: object = {}): Promise<string> {
  const agent = { kind: 'command', name, command: ['sh', '-c', script], policy }
  const { status, body } = await regent.post('/api/v1/agents', { agent })
  if (status >= 300) throw new Error(`${name} was not created: ${JSON.stringify(body)}`)
  return String(body.id)
}

/** Creates it and waits until it is RUNNING. */
export async function running(regent: Regent, name: string, script: string, policy: object = {}): Promise<Seen> {
  const id = await create(regent, name, script, { startsecs: 0, ...policy })
  const { status, body } = await regent.post(`/api/v1/agents/${id}/start`, { wait: true })
  if (status !== 200) throw new Error(`${name} did not start: ${JSON.stringify(body)}`)
  return body as unknown as Seen
}

export const seen = async (regent: Regent, id: string): Promise<Seen> =>
  (await regent.fetch(`/api/v1/agents/${id}`)).body as unknown as Seen

export const allSeen = async (regent: Regent): Promise<Seen[]> =>
  ((await regent.fetch('/api/v1/agents?limit=500')).body as { agents: Seen[] }).agents

/** How long calls of a path take, in ms, from the quickest to the slowest. */
export async function latencies(regent: Regent, path: string, times: number): Promise<number[]> {
  const taken: number[] = []
  for (let at = 0; at < times; at++) {
    const begun = performance.now()
    await regent.fetch(path)
    taken.push(performance.now() - begun)
  }
  return taken.sort((a, b) => a - b)
}

export const median = (sorted: readonly number[]): number => sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
