import type { ServerResponse } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { batchesOf } from '../../kernel/batches.ts'
import type { Logger } from '../../kernel/logger.ts'
import { answerable } from './errors.ts'
import type { HttpLimits } from './limits.ts'
import { problemOf } from './problem.ts'
import { closing } from './shutdown.ts'
import { sseComment, sseEvent, sseItem, sseRetry } from './sse.ts'

/** Server-sent events, or a line of JSON for each item. */
export type Form = 'sse' | 'ndjson'

export interface StreamAnswer {
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly open: (signal: AbortSignal) => AsyncIterable<object>
  readonly form: Form
  /** Its items carry ids, so that the caller can go on elsewhere; other streams are told when the server cuts them short. */
  readonly resumable: boolean
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
  readonly limits: HttpLimits
  readonly logger: Logger
}

/** How long a stream may refuse by an ordinary error answer; what comes later is told inside the stream. */
const FIRST_STEP_MS = 50
/** Items are gathered up to this much before the socket is given them. */
const PIECE_CHARS = 64 * 1024

/**
 * Answers with a stream of items until it ends, the caller goes, or the server closes. The source is asked for the next items only
 * when the caller's socket took the last: a slow reader costs the memory of one batch, and one that takes nothing for `stallMs` is
 * cut (the journal waits for his return). Rejects only before the first byte.
 */
export async function sendStream(answer: StreamAnswer): Promise<void> {
  const { reply, form, limits } = answer
  const ended = new AbortController()
  const end = (): void => ended.abort()
  reply.raw.once('close', end)
  answer.closing.addEventListener('abort', end, { once: true })
  if (answer.closing.aborted || reply.raw.destroyed) end()
  const source = batchesOf(answer.open(ended.signal))[Symbol.asyncIterator]()
  try {
    const first = source.next()
    // Rejects before the answer begins, or else is awaited again below.
    await Promise.race([first, pause(FIRST_STEP_MS, undefined, { ref: false })])
    reply.hijack()
    const out = begin(reply, form, limits)
    try {
      await copy(source, first, out, form, ended.signal)
    } catch (error) {
      if (!ended.signal.aborted) out.write(trouble(error, answer))
    } finally {
      if (answer.closing.aborted && !answer.resumable) out.write(trouble(closing(), answer))
      out.end()
    }
  } finally {
    reply.raw.off('close', end)
    answer.closing.removeEventListener('abort', end)
    ended.abort()
    await source.return?.()
  }
}

interface Out {
  write(text: string): void
  /** Resolves when what was written is on its way; false when the reader was cut. */
  ready(): Promise<boolean>
  end(): void
}

type Step = IteratorResult<readonly object[]>

/** Batches are written in one go, large ones in pieces. */
async function copy(
  source: AsyncIterator<readonly object[]>,
  first: Promise<Step>,
  out: Out,
  form: Form,
  signal: AbortSignal,
): Promise<void> {
  for (let step = await first; !step.done && !signal.aborted; step = await source.next()) {
    let text = ''
    for (const item of step.value) {
      text += form === 'sse' ? sseItem(item) : `${JSON.stringify(item)}\n`
      if (text.length < PIECE_CHARS) continue
      out.write(text)
      text = ''
      if (!(await out.ready()) || signal.aborted) return
    }
    if (text !== '') out.write(text)
    if (!(await out.ready())) return
  }
}

function begin(reply: FastifyReply, form: Form, limits: HttpLimits): Out {
  const raw: ServerResponse = reply.raw
  const type = form === 'sse' ? 'text/event-stream; charset=utf-8' : 'application/x-ndjson; charset=utf-8'
  raw.writeHead(200, { ...(reply.getHeaders() as Record<string, string>), 'content-type': type, 'x-accel-buffering': 'no' })
  raw.flushHeaders()
  raw.socket?.setKeepAlive(true, 30_000)
  const beat = form === 'sse' ? setInterval(() => raw.write(sseComment('alive')), limits.heartbeatMs) : undefined
  if (form === 'sse') raw.write(sseRetry)
  const cut = (): boolean => {
    raw.destroy()
    return false
  }
  return {
    write: (text) => void (raw.destroyed || raw.write(text)),
    async ready() {
      if (raw.destroyed) return false
      if (!raw.writableNeedDrain) return true
      return (await drained(raw, limits.stallMs)) || cut()
    },
    end() {
      clearInterval(beat)
      if (!raw.destroyed) raw.end()
    },
  }
}

/** False when the buffer did not empty within `ms`, or the connection is gone. */
function drained(raw: ServerResponse, ms: number): Promise<boolean> {
  return new Promise((resolve) => {
    const settle = (taken: boolean): void => {
      clearTimeout(timer)
      raw.off('drain', onDrain)
      raw.off('close', onClose)
      resolve(taken)
    }
    const onDrain = (): void => settle(true)
    const onClose = (): void => settle(false)
    const timer = setTimeout(onClose, ms)
    raw.once('drain', onDrain)
    raw.once('close', onClose)
  })
}

/** A failure after the first byte, as the last item. */
function trouble(error: unknown, { request, form, logger }: StreamAnswer): string {
  const problem = JSON.stringify(problemOf(answerable(error, request, logger), request.id))
  return form === 'sse' ? sseEvent('error', problem) : `{"error":${problem}}\n`
}
