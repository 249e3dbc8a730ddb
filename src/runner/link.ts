import { type FSWatcher, watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { WebSocket } from 'ws'
import { type FromRegent, type FromRunner, fromRegent, LINK_VERSION, type LinkInfo, linkFile } from '../contract/link.ts'
import type { Clock } from '../kernel/clock.ts'
import { reasonOf } from '../kernel/errors.ts'
import { tryParse } from '../kernel/json.ts'
import type { Logger } from '../kernel/logger.ts'
import { Acceptances } from './acceptances.ts'
import type { Journal } from './journal.ts'
import { outFrame, takeBatch } from './link-batch.ts'

export interface LinkOptions {
  /** Where link.json is. */
  readonly runDir: string
  readonly journal: Journal
  readonly clock: Clock
  readonly logger: Logger
  /** What is said at every connection. */
  readonly hello: () => Omit<Extract<FromRunner, { type: 'hello' }>, 'type' | 'version'>
  /** Messages, answers and refusals; the rest is the link's own business. */
  readonly onFrame: (frame: Extract<FromRegent, { type: 'message' | 'messages' | 'answer' | 'channel' | 'refused' }>) => void
}

const FIRST_WAIT_MS = 50
const LONGEST_WAIT_MS = 2_000
const CONNECT_MS = 5_000
const PING_MS = 10_000
const STEADY_MS = 5_000
const FRAME_BYTES = 8 * 1024 * 1024
/** What may pass by (pieces of an answer that streams) is dropped when more than this waits to be sent. */
const DELTA_BYTES = 256 * 1024
const LINK_FILE = 'link.json'
const MOST_ACCEPTED = 1000

/** The runner's connection to Regent: found by link.json, lost and found again, while the agent works on. */
export class Link {
  readonly #options: LinkOptions
  #socket: WebSocket | null = null
  #welcomed = false
  #welcomedAt = 0
  /** The last row that was handed to the present connection. */
  #sent = 0
  #sending = false
  /** What the present connection was told in its hello. */
  #said: ReturnType<LinkOptions['hello']> | null = null
  readonly #acceptances: Acceptances
  #failures = 0
  #cancelRetry: (() => void) | null = null
  #watcher: FSWatcher | null = null
  #info: LinkInfo | null = null
  #lastReason = ''
  #connecting = false
  #closed = false

  constructor(options: LinkOptions) {
    this.#options = options
    this.#acceptances = new Acceptances(options.clock, () => this.#pump())
    options.journal.onDurable(() => this.#pump())
  }

  /** Begins to look for Regent; never fails. */
  start(): void {
    this.#watch()
    void this.#connect()
  }

  /** What tells of now: nothing is kept for a later connection, which hears of it in its hello, or after its welcome where it came between. */
  tell(frame: FromRunner): void {
    if (!this.#welcomed || this.#socket === null) return
    if (frame.type === 'delta' && this.#socket.bufferedAmount > DELTA_BYTES) return
    this.#socket.send(JSON.stringify(frame))
  }

  /** The message is being written to the journal. */
  accepting(messageId: string): void {
    if (this.#welcomed) this.#acceptances.coming(messageId, this.#options.journal.state.finished.has(messageId))
  }

  /** It stands there: told soon. */
  accepted(messageId: string): void {
    this.#acceptances.stored(messageId)
  }

  close(): void {
    this.#closed = true
    this.#cancelRetry?.()
    this.#acceptances.clear()
    this.#watcher?.close()
    this.#socket?.close(1000)
    this.#socket?.terminate()
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#options.runDir, { persistent: false }, (_event, name) => {
        if (name === LINK_FILE) void this.#offered()
      })
      this.#watcher.on('error', (error) => this.#options.logger.warn({ reason: reasonOf(error) }, 'link.json is no longer watched'))
    } catch (error) {
      this.#options.logger.warn({ reason: reasonOf(error) }, 'link.json cannot be watched; it is read at every try instead')
    }
  }

  /** link.json was written: a new Regent may be there, though the connection to the old one may not have noticed. */
  async #offered(): Promise<void> {
    const info = await this.#read().catch(() => undefined)
    if (info === undefined || this.#closed) return
    if (this.#socket && info.url === this.#info?.url && info.token === this.#info.token) return
    this.#failures = 0
    if (this.#socket) this.#socket.terminate()
    else await this.#connect()
  }

  async #read(): Promise<LinkInfo> {
    return linkFile.parse(JSON.parse(await readFile(join(this.#options.runDir, LINK_FILE), 'utf8')))
  }

  async #connect(): Promise<void> {
    if (this.#closed || this.#socket || this.#connecting) return
    this.#cancelRetry?.()
    this.#connecting = true
    try {
      const info = await this.#read()
      if (!this.#closed) this.#open(info)
    } catch (error) {
      this.#retry(`link.json cannot be read: ${reasonOf(error)}`)
    } finally {
      this.#connecting = false
    }
  }

  #open(info: LinkInfo): void {
    this.#info = info
    const socket = new WebSocket(linkAddress(info.url), {
      headers: { authorization: `Bearer ${info.token}` },
      handshakeTimeout: CONNECT_MS,
      maxPayload: FRAME_BYTES,
      perMessageDeflate: false,
      followRedirects: false,
    })
    this.#socket = socket
    let reason = 'the connection was closed'
    const stopPings = this.#keepAlive(socket)
    socket.on('open', () => {
      this.#said = this.#options.hello()
      socket.send(JSON.stringify({ type: 'hello', version: LINK_VERSION, ...this.#said }))
    })
    socket.on('message', (data) => this.#take(socket, String(data)))
    socket.on('error', (error) => {
      reason = reasonOf(error)
    })
    socket.on('close', (code, words) => {
      stopPings()
      if (words.length > 0) reason = `closed with ${code}: ${words.toString('utf8')}`
      // One that ends as soon as it began must not be tried again in a storm.
      if (this.#welcomed && this.#options.clock.elapsed() - this.#welcomedAt > STEADY_MS) this.#failures = 0
      this.#socket = null
      this.#welcomed = false
      this.#sending = false
      this.#retry(reason)
    })
  }

  /** Ends a connection whose other side no longer answers pings, or never answered the hello. */
  #keepAlive(socket: WebSocket): () => void {
    let answered = true
    let greeted = false
    let cancel = (): void => {}
    const ping = (): void => {
      if (!answered || (greeted && !this.#welcomed)) socket.terminate()
      greeted = true
      answered = false
      if (socket.readyState === WebSocket.OPEN) socket.ping()
      cancel = this.#options.clock.after(PING_MS, ping)
    }
    socket.on('open', ping)
    socket.on('pong', () => {
      answered = true
    })
    socket.on('message', () => {
      answered = true
    })
    return () => cancel()
  }

  /** Full jitter between the shortest and the growing longest wait. */
  #retry(reason: string): void {
    if (this.#closed) return
    if (reason !== this.#lastReason) this.#options.logger.info({ reason }, 'no link to Regent; the agent works on and keeps looking')
    this.#lastReason = reason
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures)
    this.#failures = Math.min(this.#failures + 1, 10)
    const wait = FIRST_WAIT_MS + Math.random() * (longest - FIRST_WAIT_MS)
    this.#cancelRetry?.()
    this.#cancelRetry = this.#options.clock.after(wait, () => void this.#connect())
  }

  #take(socket: WebSocket, text: string): void {
    if (socket !== this.#socket) return
    const parsed = fromRegent.safeParse(tryParse(text))
    const frame = parsed.data
    if (!frame) this.#options.logger.warn({ problem: parsed.error?.issues[0]?.message }, 'a frame from Regent was not understood')
    else if (frame.type === 'welcome') this.#welcome(frame.cursor)
    else if (frame.type === 'confirmed') this.#options.journal.note({ e: 'confirmed', cursor: frame.cursor })
    else this.#options.onFrame(frame)
  }

  #welcome(cursor: number): void {
    const { journal, clock } = this.#options
    this.#lastReason = ''
    this.#welcomed = true
    this.#welcomedAt = clock.elapsed()
    this.#sent = cursor
    this.#acceptances.clear()
    if (cursor > journal.state.seq) void journal.append({ e: 'renumbered', base: cursor })
    else journal.note({ e: 'confirmed', cursor })
    this.#options.logger.info({ cursor }, 'linked to Regent')
    this.#tellChanges()
    this.#pump()
  }

  /** What became otherwise between the hello and the welcome. */
  #tellChanges(): void {
    const { activity, conditions } = this.#options.hello()
    if (activity !== this.#said?.activity) this.tell({ type: 'activity', activity })
    if (JSON.stringify(conditions) !== JSON.stringify(this.#said?.conditions)) this.tell({ type: 'conditions', conditions })
  }

  /** Hands over what is on disk and not yet sent: one frame at a time, the next when the last has left. */
  #pump(): void {
    const socket = this.#socket
    if (!this.#welcomed || socket === null || this.#sending) return
    const { state, durableSeq } = this.#options.journal
    const batch = takeBatch(state.out, this.#sent, durableSeq)
    const accepted = this.#acceptances.take(batch.ended, MOST_ACCEPTED)
    if (batch.rows.length + accepted.length === 0) return
    this.#sent = batch.last
    this.#sending = true
    socket.send(outFrame(batch, accepted), () => {
      if (socket !== this.#socket) return
      this.#sending = false
      this.#pump()
    })
  }
}

/** `link.json` may name Regent's HTTP address or the link's own. */
function linkAddress(text: string): string {
  const url = new URL(text)
  if (url.protocol === 'http:') url.protocol = 'ws:'
  if (url.protocol === 'https:') url.protocol = 'wss:'
  if (url.pathname === '/') url.pathname = '/link'
  return url.href
}
