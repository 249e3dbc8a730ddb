import type { Readable, Writable } from 'node:stream'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import { isObject, type Json, type JsonObject, tryParse } from '../kernel/json.ts'

/** What the other side asks, or tells; undefined for methods that are not known. */
export interface Handlers {
  request(method: string, params: JsonObject): Promise<Json> | undefined
  notification(method: string, params: JsonObject): void
  /** A line that is no message. */
  stray(line: string): void
}

/** More in one line is no message of this protocol. */
const LINE_CHARS = 64 * 1024 * 1024
const METHOD_NOT_FOUND = -32601
const INTERNAL_ERROR = -32603

/** JSON-RPC 2.0, a message a line, both ways. */
export class JsonRpcLines {
  readonly #output: Writable
  readonly #handlers: Handlers
  readonly #waiting = new Map<number, { resolve: (result: JsonObject) => void; reject: (reason: Error) => void }>()
  #next = 1
  #rest = ''
  #ended: Error | null = null

  constructor(input: Readable, output: Writable, handlers: Handlers) {
    this.#output = output
    this.#handlers = handlers
    input.setEncoding('utf8')
    input.on('data', (piece: string) => this.#take(piece))
    input.on('end', () => this.end('it closed its output'))
    output.on('error', (error) => this.end(reasonOf(error)))
  }

  /** Rejects with what the other side says is wrong, or when the connection ends. */
  request(method: string, params: JsonObject): Promise<JsonObject> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    const id = this.#next++
    this.#send({ id, method, params })
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
  }

  notify(method: string, params: JsonObject): void {
    this.#send({ method, params })
  }

  /** Every request that waits is given up; a second call changes nothing. */
  end(reason: string): void {
    if (this.#ended !== null) return
    this.#ended = new RegentError('UNAVAILABLE', reason)
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }

  #send(message: JsonObject): void {
    if (this.#ended === null) this.#output.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
  }

  #take(piece: string): void {
    const lines = (this.#rest + piece).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') this.#read(line)
    if (this.#rest.length > LINE_CHARS) this.end('it printed a line that is too long')
  }

  #read(line: string): void {
    const message = tryParse(line)
    if (isObject(message)) this.#heard(message)
    else this.#handlers.stray(line)
  }

  #heard(message: Record<string, unknown>): void {
    const { id, method } = message
    const params = (isObject(message.params) ? message.params : {}) as JsonObject
    if (typeof method !== 'string') this.#answered(message)
    else if (id === undefined) this.#handlers.notification(method, params)
    else void this.#answer(id as Json, method, params)
  }

  #answered({ id, result, error }: Record<string, unknown>): void {
    const waiting = this.#waiting.get(Number(id))
    this.#waiting.delete(Number(id))
    if (isObject(error)) waiting?.reject(new RegentError('UPSTREAM', wordsOf(error)))
    else waiting?.resolve((isObject(result) ? result : {}) as JsonObject)
  }

  async #answer(id: Json, method: string, params: JsonObject): Promise<void> {
    try {
      const result = this.#handlers.request(method, params)
      if (result === undefined) this.#send({ id, error: { code: METHOD_NOT_FOUND, message: `there is no method ${method}` } })
      else this.#send({ id, result: await result })
    } catch (error) {
      this.#send({ id, error: { code: INTERNAL_ERROR, message: reasonOf(error) } })
    }
  }
}

/** Many put what is wrong into `data`, under a message that says next to nothing. */
function wordsOf({ message, data }: Record<string, unknown>): string {
  const more = isObject(data) ? (data.message ?? data.details ?? data.error) : data
  const words = typeof message === 'string' ? message : 'an error without a message'
  return typeof more === 'string' && more !== words ? `${words}: ${more}` : words
}
