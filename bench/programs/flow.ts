import { request } from 'node:http'
import type { FlowJob } from '../lib/flow.ts'
import { createCaller } from '../lib/http.ts'
import { answer, takeJob } from '../lib/job.ts'

// Sends messages to an agent in lists, and hears its replies over SSE. Answers how long all took, and each from its call to its reply.

const job = await takeJob<FlowJob>()
const path = `/api/v1/agents/${job.agent}/messages/batch`
const caller = createCaller(job.url, job.token)
const sentAt = new Float64Array(job.n)
const times = new Float64Array(job.n)
const all = Promise.withResolvers<void>()
let heard = 0

await listen()
const from = performance.now()
let next = 0
await Promise.all(Array.from({ length: job.senders }, send))
await all.promise
answer({ ms: performance.now() - from, times })

async function send(): Promise<void> {
  while (next < job.n) {
    const first = next
    next = Math.min(job.n, first + job.batch)
    const messages = Array.from({ length: next - first }, (_, at) => ({ content: `message ${first + at}.` }))
    sentAt.fill(performance.now(), first, next)
    await caller.call('POST', path, { messages })
  }
}

async function listen(): Promise<void> {
  const url = `${job.url}/api/v1/events?agent=${job.agent}&types=message.sent`
  const headers = { authorization: `Bearer ${job.token}`, accept: 'text/event-stream' }
  await new Promise<void>((resolve, reject) => {
    const outgoing = request(url, { headers }, (response) => {
      resolve()
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (piece: string) => {
        const items = (text + piece).split('\n\n')
        text = items.pop() ?? ''
        for (const item of items) take(item)
      })
      response.on('close', () => all.reject(new Error(`the stream of events ended after ${heard} replies`)))
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

function take(item: string): void {
  if (!item.includes('"final":true')) return
  const at = Number(/message (\d+)\./.exec(item)?.[1])
  times[at] = performance.now() - (sentAt[at] ?? 0)
  if (++heard === job.n) all.resolve()
}
