import { Client, type IFrame, type IMessage, Versions } from '@stomp/stompjs'
import { type BrokerSettings, describeBroker } from '../../../contract/brokers.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { Delivery, Headers } from './delivery.ts'
import { type BrokerName, brokerOf } from './dialect.ts'
import { refusal } from './refusal.ts'
import { readTls, StompSocket } from './socket.ts'

/** Longer than this no answer of a broker is waited for. */
export const PATIENCE_MS = 5000
const FAREWELL_MS = 1000

export interface ConnectionOptions {
  readonly settings: BrokerSettings
  /** One of `settings.addresses`. */
  readonly address: string
  readonly heartBeatMs: number
  readonly clientId?: string | undefined
  readonly clock: Clock
  /** Gives up while it is being opened. */
  readonly signal?: AbortSignal
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly cancel: () => void
}

/** One STOMP session. It is never made anew: once it is over everything that waits on it is rejected with UNAVAILABLE. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #client: Client
  readonly #opened = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<string>()
  readonly #waiting = new Map<string, Waiting>()
  #socket: StompSocket | undefined
  #alive = false
  #over = false
  #refused: string | undefined
  #receipts = 0
  #broker: BrokerName = 'other'
  #version = ''

  private constructor(options: ConnectionOptions, makeSocket: () => StompSocket) {
    this.#options = options
    const { heartBeatMs } = options
    this.#client = new Client({
      webSocketFactory: () => {
        this.#socket = makeSocket()
        return this.#socket
      },
      stompVersions: new Versions([Versions.V1_2, Versions.V1_1]),
      connectHeaders: greeting(options),
      heartbeatIncoming: heartBeatMs,
      heartbeatOutgoing: heartBeatMs,
      reconnectDelay: 0,
      forceBinaryWSFrames: true,
      onConnect: (frame: IFrame) => this.#connected(frame),
      onStompError: (frame: IFrame) => this.#refusedWith(frame),
      onHeartbeatLost: () => this.drop('the broker was silent for too long'),
      onWebSocketClose: () => this.#end(this.#refused ?? this.#socket?.reason ?? 'the broker closed the connection'),
    })
  }

  /** With what is asked on it first. Rejects with UNAVAILABLE, in words, when there is no session within 5 s. */
  static async open(options: ConnectionOptions, prepare: (connection: Connection) => Promise<void> = async () => {}): Promise<Connection> {
    const { settings, address, clock, signal } = options
    signal?.throwIfAborted()
    const tls = settings.tls && (await readTls(settings.tls).catch((error: unknown) => unusable(settings, reasonOf(error))))
    const connection = new Connection(options, () => new StompSocket(address, tls))
    const cancel = clock.after(PATIENCE_MS, () => connection.drop(`no answer within ${PATIENCE_MS / 1000} s`))
    const abort = () => connection.drop('given up')
    signal?.addEventListener('abort', abort, { once: true })
    try {
      connection.#client.activate()
      await connection.#opened.promise.finally(cancel)
      await prepare(connection)
      return connection
    } catch (error) {
      connection.drop(reasonOf(error))
      throw error
    } finally {
      signal?.removeEventListener('abort', abort)
    }
  }

  get alive(): boolean {
    return this.#alive
  }

  get broker(): BrokerName {
    return this.#broker
  }

  /** 1.1 or 1.2. */
  get version(): string {
    return this.#version
  }

  /** Resolves with the reason when it is over; never rejects. */
  get closed(): Promise<string> {
    return this.#closed.promise
  }

  /** Resolves when the broker has confirmed it. `bytes`: with a content-length, whatever the broker makes of that. */
  send(
    destination: string,
    headers: Headers,
    body: { readonly text: string; readonly bytes: boolean },
    withinMs = PATIENCE_MS,
  ): Promise<void> {
    return this.#confirmed(withinMs, (receipt) =>
      this.#client.publish({
        destination,
        headers: { ...headers, receipt },
        body: body.text,
        skipContentLengthHeader: !body.bytes,
      }),
    )
  }

  subscribe(id: string, destination: string, headers: Headers, onDelivery: (delivery: Delivery) => void): Promise<void> {
    return this.#confirmed(PATIENCE_MS, (receipt) => {
      this.#client.subscribe(destination, (message) => onDelivery(this.#delivered(message)), {
        ack: 'client-individual',
        ...headers,
        id,
        receipt,
      })
    })
  }

  /** Ends it at once. */
  drop(reason: string): void {
    if (this.#socket) {
      this.#socket.reason ??= reason
      this.#socket.terminate()
    }
    this.#end(reason)
  }

  /** Takes leave: what was acknowledged is known to the broker, what was not goes back. */
  async end(): Promise<void> {
    if (!this.#alive) return this.drop('closed')
    const cancel = this.#options.clock.after(FAREWELL_MS, () => this.drop('closed'))
    await Promise.race([this.#client.deactivate(), this.#closed.promise]).catch(() => undefined)
    cancel()
    this.drop('closed')
  }

  #delivered(message: IMessage): Delivery {
    const headers = this.#version === Versions.V1_1 ? unescaped(message.headers) : message.headers
    return {
      headers,
      body: message.body,
      connection: this,
      ack: () => {
        if (this.#alive) message.ack()
      },
    }
  }

  #connected(frame: IFrame): void {
    if (this.#over) return
    this.#broker = brokerOf(frame.headers.server)
    this.#version = frame.headers.version ?? ''
    this.#alive = true
    this.#opened.resolve()
  }

  /** An ERROR; one that names a receipt is the answer to that alone, any other ends the session. */
  #refusedWith(frame: IFrame): void {
    const reason = [frame.headers.message, frame.body.trim().split('\n', 1)[0]]
      .filter((part) => part)
      .join(': ')
      .slice(0, 500)
    const receipt = frame.headers['receipt-id']
    this.#refused = reason
    const asked = receipt === undefined ? this.#only() : receipt
    if (asked !== undefined) this.#take(asked)?.reject(refusal(this.#name(), reason))
    this.drop(reason)
  }

  /** What was asked when nothing else was. */
  #only(): string | undefined {
    const [first, second] = this.#waiting.keys()
    return second === undefined ? first : undefined
  }

  #confirmed(withinMs: number, ask: (receipt: string) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#alive) return reject(this.#unavailable('the connection is lost'))
      this.#receipts += 1
      const receipt = `r${this.#receipts}`
      const cancel = this.#options.clock.after(withinMs, () => this.drop('no answer in time'))
      this.#waiting.set(receipt, { resolve, reject, cancel })
      this.#client.watchForReceipt(receipt, () => this.#take(receipt)?.resolve())
      return ask(receipt)
    })
  }

  #take(receipt: string): Waiting | undefined {
    const waiting = this.#waiting.get(receipt)
    this.#waiting.delete(receipt)
    waiting?.cancel()
    return waiting
  }

  #end(reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#alive = false
    const error = this.#unavailable(reason)
    for (const receipt of this.#waiting.keys()) this.#take(receipt)?.reject(error)
    this.#opened.promise.catch(() => undefined)
    this.#opened.reject(error)
    this.#closed.resolve(reason)
    void this.#client.deactivate({ force: true })
  }

  #unavailable(reason: string): RegentError {
    return new RegentError('UNAVAILABLE', `${this.#name()} cannot be used: ${reason}`, { retryAfter: 1 })
  }

  #name(): string {
    return describeBroker(this.#options.settings)
  }
}

function greeting({ settings, clientId }: ConnectionOptions): Record<string, string> {
  const { username, password, database } = settings
  return {
    // RabbitMQ takes it for its virtual host; ActiveMQ lets any pass.
    host: database ?? '/',
    ...(username !== undefined && { login: username }),
    ...(password !== undefined && { passcode: password }),
    ...(clientId !== undefined && { 'client-id': clientId }),
  }
}

/** stompjs undoes the escapes of STOMP 1.2 alone. */
function unescaped(headers: Headers): Headers {
  const signs: Readonly<Record<string, string>> = { '\\n': '\n', '\\c': ':', '\\\\': '\\' }
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value.replace(/\\[nc\\]/g, (sign) => signs[sign] ?? sign)]),
  )
}

function unusable(settings: BrokerSettings, reason: string): never {
  throw new RegentError('UNAVAILABLE', `${describeBroker(settings)} cannot be used: ${reason}`, { retryAfter: 1 })
}
