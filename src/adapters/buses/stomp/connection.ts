import { type BrokerSettings, describeBroker } from '../../../contract/brokers.ts'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import { Deadlines } from '../shared/deadlines.ts'
import type { Delivery, Headers } from './delivery.ts'
import { type BrokerName, brokerOf } from './dialect.ts'
import { FrameReader } from './frame-reader.ts'
import { type Frame, type Version, writeFrame } from './frames.ts'
import { HeartBeats } from './heart-beats.ts'
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

type TlsOptions = Awaited<ReturnType<typeof readTls>> | undefined

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
  readonly cancel: () => void
}

/** One STOMP session. It is never made anew: once it is over everything that waits on it is rejected with UNAVAILABLE. */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #socket: StompSocket
  readonly #deadlines: Deadlines
  readonly #opened = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<string>()
  readonly #waiting = new Map<string, Waiting>()
  readonly #subscribers = new Map<string, (delivery: Delivery) => void>()
  #heartBeats: HeartBeats | undefined
  #alive = false
  #over = false
  #receipts = 0
  #broker: BrokerName = 'other'
  #version: Version | undefined

  private constructor(options: ConnectionOptions, tls: TlsOptions) {
    this.#options = options
    this.#deadlines = new Deadlines(options.clock, PATIENCE_MS)
    const reader = new FrameReader((frame) => this.#got(frame))
    this.#socket = new StompSocket({
      address: options.address,
      tls,
      onOpen: () => this.#write('CONNECT', greeting(options)),
      onData: (chunk) => {
        this.#heartBeats?.see()
        reader.push(chunk)
      },
      onClose: (reason) => this.#end(reason),
    })
  }

  /** With what is asked on it first. Rejects with UNAVAILABLE, in words, when there is no session within 5 s. */
  static async open(options: ConnectionOptions, prepare: (connection: Connection) => Promise<void> = async () => {}): Promise<Connection> {
    const { settings, clock, signal } = options
    signal?.throwIfAborted()
    const tls = settings.tls && (await readTls(settings.tls).catch((error: unknown) => unusable(settings, reasonOf(error))))
    const connection = new Connection(options, tls)
    const cancel = clock.after(PATIENCE_MS, () => connection.drop(`no answer within ${PATIENCE_MS / 1000} s`))
    const abort = () => connection.drop('given up')
    signal?.addEventListener('abort', abort, { once: true })
    try {
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

  /** Resolves with the reason when it is over; never rejects. */
  get closed(): Promise<string> {
    return this.#closed.promise
  }

  /** Resolves when the broker has confirmed it. `bytes`: with a content-length, whatever the broker makes of that. */
  send(destination: string, headers: Headers, body: { readonly text: string; readonly bytes: boolean }, withinMs?: number): Promise<void> {
    return this.#confirmed('SEND', { destination, ...headers }, body, withinMs)
  }

  subscribe(id: string, destination: string, headers: Headers, onDelivery: (delivery: Delivery) => void): Promise<void> {
    this.#subscribers.set(id, onDelivery)
    return this.#confirmed('SUBSCRIBE', { ack: 'client-individual', ...headers, id, destination })
  }

  /** Ends it at once. */
  drop(reason: string): void {
    this.#socket.destroy(reason)
    this.#end(reason)
  }

  /** Takes leave: what was acknowledged is known to the broker, what was not goes back. */
  async end(): Promise<void> {
    await this.#confirmed('DISCONNECT', {}, undefined, FAREWELL_MS).catch(() => undefined)
    this.drop('closed')
  }

  #got(frame: Frame): void {
    const { command, headers } = frame
    if (command === 'MESSAGE') this.#subscribers.get(headers.subscription ?? '')?.(this.#delivered(frame))
    else if (command === 'RECEIPT') this.#take(headers['receipt-id'] ?? '')?.resolve()
    else if (command === 'CONNECTED') this.#connected(frame)
    else if (command === 'ERROR') this.#refusedWith(frame)
  }

  #delivered({ headers, body }: Frame): Delivery {
    const { ack, subscription = '', 'message-id': id = '' } = headers
    const named: Headers = this.#version === '1.2' ? { id: ack ?? '' } : { 'message-id': id, subscription }
    return {
      headers,
      body,
      connection: this,
      ack: () => {
        if (this.#alive) this.#write('ACK', named)
      },
    }
  }

  #connected({ headers }: Frame): void {
    if (this.#over) return
    this.#broker = brokerOf(headers.server)
    this.#version = headers.version === '1.2' ? '1.2' : '1.1'
    this.#alive = true
    this.#heartBeats = new HeartBeats({
      ms: this.#options.heartBeatMs,
      agreed: headers['heart-beat'],
      clock: this.#options.clock,
      beat: () => this.#socket.write('\n'),
      lost: () => this.drop('the broker was silent for too long'),
    })
    this.#opened.resolve()
  }

  /** An ERROR; one that names a receipt is the answer to that alone, any other ends the session. */
  #refusedWith(frame: Frame): void {
    const reason = [frame.headers.message, frame.body.trim().split('\n', 1)[0]]
      .filter((part) => part)
      .join(': ')
      .slice(0, 500)
    const asked = frame.headers['receipt-id'] ?? this.#only()
    if (asked !== undefined) this.#take(asked)?.reject(refusal(this.#name(), reason))
    this.drop(reason)
  }

  /** What was asked when nothing else was. */
  #only(): string | undefined {
    const [first, second] = this.#waiting.keys()
    return second === undefined ? first : undefined
  }

  #confirmed(command: string, headers: Headers, body?: { readonly text: string; readonly bytes: boolean }, ms?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (!this.#alive) return reject(this.#unavailable('the connection is lost'))
      this.#receipts += 1
      const receipt = `r${this.#receipts}`
      const late = () => this.drop('no answer in time')
      const cancel = ms === undefined ? this.#deadlines.begin(late) : this.#options.clock.after(ms, late)
      this.#waiting.set(receipt, { resolve, reject, cancel })
      const length = body?.bytes ? { 'content-length': `${Buffer.byteLength(body.text)}` } : undefined
      return this.#write(command, { ...headers, receipt, ...length }, body?.text)
    })
  }

  #write(command: string, headers: Headers, text?: string): void {
    this.#socket.write(writeFrame(command, headers, text, this.#version))
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
    this.#heartBeats?.stop()
  }

  #unavailable(reason: string): RegentError {
    return new RegentError('UNAVAILABLE', `${this.#name()} cannot be used: ${reason}`, { retryAfter: 1 })
  }

  #name(): string {
    return describeBroker(this.#options.settings)
  }
}

function greeting({ settings, clientId, heartBeatMs }: ConnectionOptions): Headers {
  const { username, password, database } = settings
  return {
    // RabbitMQ takes it for its virtual host; ActiveMQ lets any pass.
    host: database ?? '/',
    ...(username !== undefined && { login: username }),
    ...(password !== undefined && { passcode: password }),
    ...(clientId !== undefined && { 'client-id': clientId }),
    'accept-version': '1.2,1.1',
    'heart-beat': `${heartBeatMs},${heartBeatMs}`,
  }
}

function unusable(settings: BrokerSettings, reason: string): never {
  throw new RegentError('UNAVAILABLE', `${describeBroker(settings)} cannot be used: ${reason}`, { retryAfter: 1 })
}
