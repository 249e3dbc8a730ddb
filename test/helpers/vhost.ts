import { randomUUID } from 'node:crypto'
import { onTestFinished } from 'vitest'

/** A virtual host of the shared RabbitMQ for one test: the contract's queue names are fixed, so each test has a broker of its own. */
export interface Vhost {
  readonly name: string
  readonly url: string
  /** Name and count of each queue, as the broker tells them. */
  queues(): Promise<{ name: string; durable: boolean; messages: number; consumers: number; arguments: Record<string, unknown> }[]>
  exchanges(): Promise<{ name: string; type: string; durable: boolean }[]>
  bindings(queue: string): Promise<{ source: string; routing_key: string }[]>
}

export async function freshVhost(urls: { readonly url: string; readonly management: string }): Promise<Vhost> {
  const name = `regent-${randomUUID()}`
  const api = new URL(urls.management)
  const authorization = `Basic ${Buffer.from(`${decodeURIComponent(api.username)}:${decodeURIComponent(api.password)}`).toString('base64')}`
  const ask = async (path: string, method = 'GET') => {
    const answer = await fetch(`http://${api.host}/api/${path}`, { method, headers: { authorization } })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    const body = await answer.text()
    return body === '' ? undefined : JSON.parse(body)
  }
  await ask(`vhosts/${name}`, 'PUT')
  onTestFinished(async () => {
    await ask(`vhosts/${name}`, 'DELETE')
  })
  return {
    name,
    url: `${urls.url.replace(/\/$/, '')}/${name}`,
    queues: () => ask(`queues/${name}`),
    exchanges: () => ask(`exchanges/${name}`),
    bindings: (queue) => ask(`queues/${name}/${encodeURIComponent(queue)}/bindings`),
  }
}
