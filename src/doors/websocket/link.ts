import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { type FromRunner, fromRunner } from '../../contract/link.ts'
import type { LinkSession, Links } from '../../core/core.ts'
import { type Clock, systemClock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import { checkJson, tryParse } from '../../kernel/json.ts'
import type { Logger } from '../../kernel/logger.ts'
import type { Gate } from '../shared/gate.ts'
import { refuseUpgrade, toldError, type UpgradeDoor } from '../shared/upgrade.ts'
import { withoutSecrets } from '../shared/without-secrets.ts'

export interface LinkDoorOptions {
  readonly links: Links
  readonly gate: Gate
  readonly logger: Logger
  readonly clock?: Clock
  readonly limits?: Partial<LinkLimits>
}

export interface LinkLimits {
  readonly frameBytes: number
  /** What may wait for a runner that does not read, before its connection is closed; it comes back and is sent all of it again. */
  readonly bufferBytes: number
  /** Frames taken from the socket and not yet handled, before it is read no further. */
  readonly queue: number
  readonly pingMs: number
  /** Pings without an answer until the connection counts as dead. */
  readonly misses: number
  /** For the goodbye when the server closes. */
  readonly closeMs: number
}

const defaults: LinkLimits = { frameBytes: 4 << 20, bufferBytes: 8 << 20, queue: 64, pingMs: 30_000, misses: 2, closeMs: 1000 }

/** Rows of one commit, about. */
const MOST_ROWS = 2000

/** WebSocket close codes that this door uses. */
const codes = { normal: 1000, goingAway: 1001, binary: 1003, notJson: 1007, policy: 1008, failed: 1011, again: 1013 } as const

interface Parts {
  readonly links: Links
  readonly logger: Logger
  readonly clock: Clock
  readonly limits: LinkLimits
}

/** The runners' way in, at `/link`: admitted by their run token alone, since they may be another user's processes. */
export function createLinkDoor({ links, gate, logger, clock = systemClock, ...options }: LinkDoorOptions): UpgradeDoor {
  const limits = { ...defaults, ...options.limits }
  const server = new WebSocketServer({ noServer: true, maxPayload: limits.frameBytes, perMessageDeflate: false, clientTracking: true })
  // A handshake that is none is answered by the library itself; it needs no word in the log.
  server.on('wsClientError', (_error, socket) => refuseUpgrade(socket, new RegentError('BAD_REQUEST', 'this is no WebSocket handshake')))
  const admit = async (request: IncomingMessage) => {
    gate.check(request)
    const token = gate.bearer(request)
    const run = token === undefined ? undefined : await links.admit(token)
    if (!run) throw gate.refusal(request)
    return run
  }
  /** Sockets that are not answered yet. */
  const asking = new Set<Duplex>()
  const answer = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const gone = (): void => void socket.destroy()
    asking.add(socket)
    socket.on('error', gone)
    try {
      const run = await admit(request)
      socket.off('error', gone)
      if (socket.destroyed) return
      server.handleUpgrade(request, socket, head, (ws) => serveLink(ws, run, { links, logger, clock, limits }))
    } catch (error) {
      refuseUpgrade(
        socket,
        toldError(error, (reason) => logger.error({ error: withoutSecrets(reason) }, 'a link could not be admitted')),
      )
    } finally {
      asking.delete(socket)
    }
  }
  return {
    upgrade: (request, socket, head) => void answer(request, socket, head),
    async close() {
      for (const socket of asking) socket.destroy()
      const open = [...server.clients]
      await Promise.all(open.map((ws) => sayGoodbye(ws, clock, limits.closeMs)))
      server.close()
    },
  }
}

function serveLink(ws: WebSocket, run: { readonly agentId: string; readonly runId: string }, parts: Parts): void {
  const { links, logger, clock, limits } = parts
  const log = logger.child({ agent_id: run.agentId, run_id: run.runId })
  const close = (code: number, reason: string): void => {
    // 123 bytes are what a close frame holds.
    ws.close(
      code,
      Buffer.from(reason)
        .subarray(0, 120)
        .toString('utf8')
        .replace(/\ufffd+$/, ''),
    )
    // Who does not answer the goodbye is not waited for.
    clock.after(limits.closeMs, () => ws.terminate())
  }
  const session = links.attach({
    ...run,
    send(frame) {
      if (ws.readyState !== ws.OPEN) return
      ws.send(JSON.stringify(frame))
      if (ws.bufferedAmount <= limits.bufferBytes) return
      log.warn({ waiting: ws.bufferedAmount }, 'a runner does not read its link: closed')
      close(codes.again, 'you do not read')
      ws.terminate()
    },
    ping() {
      if (ws.readyState === ws.OPEN) ws.ping()
    },
    close: (reason) => close(codes.normal, reason),
  })
  const take = frameQueue(ws, session, limits.queue, (code, reason, error) => {
    const told = error === undefined ? reason : withoutSecrets(reasonOf(error))
    log.warn({ code, reason: told }, 'a link is closed: a frame could not be taken')
    close(code, reason)
  })
  const stopPings = keepAlive(ws, clock, limits)
  ws.on('message', take)
  for (const sign of ['message', 'ping', 'pong']) ws.on(sign, () => session.heard())
  ws.on('error', (error) => log.warn({ error: withoutSecrets(reasonOf(error)) }, 'a link broke'))
  ws.on('close', () => {
    stopPings()
    session.detach()
  })
}

/**
 * Hands frames to the session one after the other. While more than `most` wait, the socket is not read. The first frame that
 * cannot be taken ends it: those after it are not handled.
 */
function frameQueue(ws: WebSocket, session: LinkSession, most: number, refuse: (code: number, reason: string, error?: unknown) => void) {
  const waiting: FromRunner[] = []
  let working = false
  let over = false
  const end = (code: number, reason: string, error?: unknown): void => {
    if (over) return
    over = true
    waiting.length = 0
    refuse(code, reason, error)
  }
  const work = async (): Promise<void> => {
    working = true
    for (let frame = takeNext(waiting); frame && !over; frame = takeNext(waiting)) {
      try {
        await session.receive(frame)
      } catch (error) {
        end(codes.failed, error instanceof RegentError ? `${error.code}: ${error.message}` : 'the frame could not be taken', error)
      }
      if (ws.isPaused && waiting.length < most / 2) ws.resume()
    }
    working = false
  }
  ws.on('close', () => {
    over = true
  })
  return (data: RawData, isBinary: boolean): void => {
    if (over) return
    const frame = isBinary ? undefined : readFrame(String(data), end)
    if (isBinary) end(codes.binary, 'frames are texts')
    if (!frame) return
    waiting.push(frame)
    if (waiting.length >= most) ws.pause()
    if (!working) void work()
  }
}

/** The first frame that waits. Lists of what was done that follow each other are one, so that they are written down by one commit. */
function takeNext(waiting: FromRunner[]): FromRunner | undefined {
  const first = waiting.shift()
  if (first?.type !== 'out') return first
  const rows = [...first.rows]
  const accepted = [...(first.accepted ?? [])]
  for (let next = waiting[0]; next?.type === 'out' && rows.length < MOST_ROWS; next = waiting[0]) {
    rows.push(...next.rows)
    accepted.push(...(next.accepted ?? []))
    waiting.shift()
  }
  return { type: 'out', rows, accepted }
}

function readFrame(text: string, refuse: (code: number, reason: string) => void): FromRunner | undefined {
  const value = tryParse(text)
  if (value === undefined) {
    refuse(codes.notJson, 'a frame is not JSON')
    return undefined
  }
  try {
    checkJson(value)
  } catch (error) {
    refuse(codes.policy, reasonOf(error))
    return undefined
  }
  const checked = fromRunner.safeParse(value)
  if (checked.success) return checked.data
  const [issue] = checked.error.issues
  refuse(codes.policy, `invalid frame: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`)
  return undefined
}

/** Pings until the answer cancels it; a peer that left too many unanswered is cut. */
function keepAlive(ws: WebSocket, clock: Clock, { pingMs, misses }: LinkLimits): () => void {
  let unanswered = 0
  let cancel = (): void => {}
  const beat = (): void => {
    if (unanswered >= misses) {
      ws.terminate()
      return
    }
    unanswered++
    ws.ping()
    cancel = clock.after(pingMs, beat)
  }
  ws.on('pong', () => {
    unanswered = 0
  })
  cancel = clock.after(pingMs, beat)
  return () => cancel()
}

function sayGoodbye(ws: WebSocket, clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ws.readyState === ws.CLOSED) return resolve()
    const cancel = clock.after(ms, () => ws.terminate())
    ws.once('close', () => {
      cancel()
      resolve()
    })
    ws.close(codes.goingAway, 'Regent is closing')
  })
}
