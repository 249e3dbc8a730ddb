import { connect, type Socket } from 'node:net'
import { answer, takeJob } from '../lib/job.ts'
import type { LoadJob } from '../lib/load.ts'

// Sends requests over connections that are kept open, and answers how long each took. It writes and reads HTTP/1.1 by hand: the
// client of node:http costs more than the servers that are measured, and would be what is measured.

const job = await takeJob<LoadJob>()
const { hostname, port, host } = new URL(job.url)
const times = new Float64Array(job.requests)
let sent = 0
let done = 0
const finished = Promise.withResolvers<void>()

class Connection {
  readonly #socket: Socket
  #number = 0
  #from = 0
  #received = ''

  constructor() {
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true })
    this.#socket.setEncoding('latin1')
    this.#socket.on('data', (text: string) => this.#take(text))
    this.#socket.on('error', finished.reject)
    this.#socket.on('close', () => finished.reject(new Error(`the server closed a connection after ${done} answers`)))
  }

  next(): void {
    if (sent === job.requests) return
    this.#number = sent++
    const text = requestText(this.#number)
    this.#from = performance.now()
    this.#socket.write(text)
  }

  #take(text: string): void {
    this.#received = this.#received === '' ? text : this.#received + text
    const length = answerLength(this.#received)
    if (length === undefined || this.#received.length < length) return
    times[this.#number] = performance.now() - this.#from
    const status = Number(this.#received.slice(9, 12))
    if (status !== job.expected) finished.reject(new Error(`${job.method} ${job.path} answered:\n${this.#received}`))
    this.#received = ''
    if (++done === job.requests) finished.resolve()
    else this.next()
  }

  end(): void {
    this.#socket.removeAllListeners('close').destroy()
  }
}

function requestText(number: number): string {
  const path = job.path.replaceAll('{n}', String(number))
  const body = job.body?.replaceAll('{n}', String(number)) ?? ''
  const lines = [`${job.method} ${path} HTTP/1.1`, `host: ${host}`, 'accept: application/json']
  if (job.token !== undefined) lines.push(`authorization: Bearer ${job.token}`)
  if (body !== '') lines.push('content-type: application/json', `content-length: ${Buffer.byteLength(body)}`)
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

/** Bytes of the whole answer (a character of the text is a byte); undefined while its head is not complete. */
function answerLength(received: string): number | undefined {
  const head = received.indexOf('\r\n\r\n')
  if (head === -1) return undefined
  const length = /\r\ncontent-length: (\d+)/i.exec(received)?.[1]
  if (length === undefined) throw new Error(`an answer without a length:\n${received.slice(0, head)}`)
  return head + 4 + Number(length)
}

const connections = Array.from({ length: job.connections }, () => new Connection())
const from = performance.now()
for (const connection of connections) connection.next()
await finished.promise
answer({ ms: performance.now() - from, times })
for (const connection of connections) connection.end()
