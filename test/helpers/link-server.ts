import { renameSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { type FromRegent, type FromRunner, fromRunner, type OutBody, type OutRow } from '../../src/contract/link.ts'
import { checkJson } from '../../src/kernel/json.ts'
import { until } from './until.ts'

type Kind = OutBody['kind']
export type RowOf<K extends Kind> = Extract<OutBody, { kind: K }>

/** What Regent keeps of one agent, over its own restarts: the rows it took in, each once, and its cursor. */
export class Taken {
  cursor = 0
  readonly rows: OutRow[] = []
  /** Rows that came again although they were taken in: harmless, but counted. */
  repeated = 0

  take(rows: readonly OutRow[]): void {
    for (const row of rows) {
      if (row.seq <= this.cursor) {
        this.repeated++
        continue
      }
      if (row.seq !== this.cursor + 1) throw new Error(`row ${row.seq} came after ${this.cursor}`)
      this.rows.push(row)
      this.cursor = row.seq
    }
  }

  of<K extends Kind>(kind: K): RowOf<K>[] {
    return this.rows.map((row) => row.body).filter((body): body is RowOf<K> => body.kind === kind)
  }

  /** The final answers to a message. */
  finals(messageId: string): RowOf<'say'>[] {
    return this.of('say').filter((say) => say.final && say.reply_to === messageId)
  }
}

/** Regent's end of the link, as strict with frames as the real door is. */
export class LinkServer {
  readonly taken: Taken
  readonly frames: FromRunner[] = []
  readonly problems: string[] = []
  /** Frames for Regent are acknowledged; false leaves rows unconfirmed. */
  confirms = true
  connections = 0
  readonly #server: WebSocketServer
  readonly #token: string
  #socket: WebSocket | null = null
  #welcomes: boolean

  private constructor(server: WebSocketServer, taken: Taken, token: string, welcomes: boolean) {
    this.#server = server
    this.taken = taken
    this.#token = token
    this.#welcomes = welcomes
    server.on('connection', (socket, request) => {
      if (request.headers.authorization !== `Bearer ${token}`) this.problems.push('wrong token')
      if (request.url !== '/link') this.problems.push(`wrong path ${request.url}`)
      this.connections++
      this.#socket = socket
      socket.on('message', (data) => this.#take(socket, String(data)))
    })
  }

  /** Listens on a free port and says so in link.json of the run directory. */
  static async open(runDir: string, options: { taken?: Taken; welcomes?: boolean } = {}): Promise<LinkServer> {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await new Promise((listening) => server.once('listening', listening))
    const token = `token-${Math.random()}`
    const self = new LinkServer(server, options.taken ?? new Taken(), token, options.welcomes ?? true)
    onTestFinished(() => self.kill())
    self.offer(runDir)
    return self
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  offer(runDir: string): void {
    writeFileSync(join(runDir, 'link.json.new'), JSON.stringify({ url: this.url, token: this.#token }), { mode: 0o600 })
    renameSync(join(runDir, 'link.json.new'), join(runDir, 'link.json'))
  }

  send(frame: FromRegent): void {
    this.#socket?.send(JSON.stringify(frame))
  }

  message(id: string, content: string, conversation = 'main'): void {
    this.send({ type: 'message', id, number: 1, conversation, sender: 'ann', content, metadata: {} })
  }

  answer(approvalId: string, confirmed: boolean, nonce = 'n'): void {
    this.send({ type: 'answer', approval_id: approvalId, nonce, confirmed, by: 'ann', via: 'test' })
  }

  of<T extends FromRunner['type']>(type: T): Extract<FromRunner, { type: T }>[] {
    return this.frames.filter((frame): frame is Extract<FromRunner, { type: T }> => frame.type === type)
  }

  /** Ids of the messages that the runner has said to have. */
  get accepted(): string[] {
    return this.of('out').flatMap((frame) => frame.accepted ?? [])
  }

  async linked(): Promise<void> {
    await until(() => this.of('hello').length > 0, 'the runner to say hello')
  }

  /** Reads nothing more from the present connection: pings get no answer. */
  deafen(): void {
    this.#socket?.pause()
  }

  /** Drops the connection without a word, as a killed process does. */
  async kill(): Promise<void> {
    for (const client of this.#server.clients) client.terminate()
    await new Promise((closed) => this.#server.close(closed))
  }

  #take(socket: WebSocket, text: string): void {
    try {
      const value: unknown = JSON.parse(text)
      checkJson(value)
      const frame = fromRunner.parse(value)
      if (frame.type === 'out') this.taken.take(frame.rows)
      this.frames.push(frame)
      if (frame.type === 'hello' && this.#welcomes) this.send({ type: 'welcome', version: 2, cursor: this.taken.cursor })
      if (frame.type === 'out' && this.confirms) this.send({ type: 'confirmed', cursor: this.taken.cursor })
    } catch (error) {
      this.problems.push(String(error))
      socket.terminate()
    }
  }
}
