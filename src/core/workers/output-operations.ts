import type { Input, Output } from '../../contract/operations.ts'
import type { OutputItem } from '../../contract/workers.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Output as Said } from '../../ports/coding-agents.ts'
import type { WorkerRow } from '../../ports/worker-store.ts'
import type { Handlers, Handling, Streams, Watching } from '../handling.ts'
import { findWorker } from './find-worker.ts'
import { LINE_BYTES } from './turn-feed.ts'
import { turnFor } from './turn-spec.ts'
import { isOpen } from './worker-moves.ts'
import type { WorkerParts } from './worker-parts.ts'

const SHOWN_CHARACTERS = 16_384
const STDERR_LINES = 2000

export function outputOperations(parts: WorkerParts): Handlers<'workers.output' | 'workers.document'> {
  return {
    'workers.output': (input, handling) => page(parts, input, handling),
    async 'workers.document'({ worker }, { caller }) {
      const row = await findWorker(parts.store.read, worker, caller)
      if (isOpen(row))
        throw new RegentError('ILLEGAL_STATE', `worker ${row.id} is still ${row.state}`, { hint: 'wait for it, or read its output' })
      return { stdout: (await parts.workerFiles.readOutput(row.id)) ?? '', stderr: await stderrOf(parts, row) }
    },
  }
}

export function outputStreams(parts: WorkerParts): Streams<'workers.follow'> {
  return { 'workers.follow': (input, watching) => follow(parts, input, watching) }
}

async function stderrOf({ runtime }: WorkerParts, row: WorkerRow): Promise<string> {
  const lines: string[] = []
  if (row.runId === null) return ''
  for await (const { text } of runtime.logs(row.id, { run: row.runId, follow: false, stream: 'stderr', tail: STDERR_LINES }))
    lines.push(text)
  return lines.length > 0 ? `${lines.join('\n')}\n` : ''
}

/** The run of a turn; undefined while it has none. */
async function runOf({ store }: WorkerParts, row: WorkerRow, turn: number | undefined): Promise<string | undefined> {
  if (turn === undefined || turn === row.turn) return row.runId ?? undefined
  const found = (await store.read.workers.turns(row.id)).find((one) => one.turn === turn)
  if (!found)
    throw new RegentError('NOT_FOUND', `worker ${row.id} has no turn ${turn}`, { hint: `it has ${row.turn}`, details: { what: 'turn' } })
  return found.runId ?? undefined
}

async function page(
  parts: WorkerParts,
  { worker, turn, stream, from, limit }: Input<'workers.output'>,
  { caller, signal }: Handling,
): Promise<Output<'workers.output'>> {
  const row = await findWorker(parts.store.read, worker, caller)
  const run = await runOf(parts, row, turn)
  const isOver = (turn ?? row.turn) !== row.turn || !isOpen(row)
  const lines: string[] = []
  let at = 0
  let size = 0
  let more = false
  if (run !== undefined)
    for await (const { text } of parts.runtime.logs(row.id, { run, follow: false, stream, lineBytes: LINE_BYTES }, signal)) {
      if (at++ < from) continue
      if (lines.length > 0 && size + text.length > limit) {
        more = true
        break
      }
      lines.push(text)
      size += text.length + 1
    }
  return { text: lines.map((line) => `${line}\n`).join(''), from, next: from + lines.length, more, ended: isOver && !more }
}

/** Turns of one worker that come after the first are other runs; this follows one to its end. */
async function* follow(
  parts: WorkerParts,
  { worker, turn, follow }: Input<'workers.follow'>,
  { caller, signal }: Watching,
): AsyncGenerator<OutputItem> {
  const row = await findWorker(parts.store.read, worker, caller)
  const started = turn === undefined && follow ? await begun(parts, row, signal) : row
  const run = await runOf(parts, started, turn)
  if (run === undefined) return
  const reader = parts.codingAgents
    .get(row.agent)
    .reader(turnFor({ row, agent: parts.codingAgents.get(row.agent), budgetUsd: null }, parts))
  const query = { run, follow, stream: 'stdout', lineBytes: LINE_BYTES } as const
  const number = turn ?? started.turn
  for await (const { text, at } of parts.runtime.logs(row.id, query, signal))
    for (const said of reader.line(text, parts.clock.now())) yield itemOf(said, number, at)
}

/** Waits until a queued or limited one has a run, or has ended. */
async function begun({ workers, store }: WorkerParts, row: WorkerRow, signal: AbortSignal): Promise<WorkerRow> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const unwatch = workers.watch(row.id, (now) => {
    if (now.state !== 'queued' && now.state !== 'limited') resolve()
  })
  const aborted = () => resolve()
  signal.addEventListener('abort', aborted, { once: true })
  try {
    const now = (await store.read.workers.get(row.id)) ?? row
    if (now.state === 'queued' || now.state === 'limited') await promise
    return (await store.read.workers.get(row.id)) ?? row
  } finally {
    unwatch()
    signal.removeEventListener('abort', aborted)
  }
}

function itemOf(said: Said, turn: number, at: number | null): OutputItem {
  const { text, data } = partsOf(said)
  return {
    kind: said.kind,
    turn,
    at,
    text: text.slice(0, SHOWN_CHARACTERS).toWellFormed(),
    data: { ...data, ...(text.length > SHOWN_CHARACTERS && { truncated: true }) },
  }
}

function partsOf(said: Said): { text: string; data: Record<string, unknown> } {
  switch (said.kind) {
    case 'session':
      return { text: said.sessionId, data: { session_id: said.sessionId } }
    case 'text':
    case 'raw':
      return { text: said.text, data: {} }
    case 'tool_call':
      return { text: `${said.tool} ${JSON.stringify(said.input)}`, data: { tool: said.tool } }
    case 'tool_result':
      return { text: said.text, data: { tool: said.tool, is_error: said.isError } }
    case 'usage':
      return { text: '', data: { input_tokens: said.tokens.input, output_tokens: said.tokens.output } }
    case 'result':
      return { text: said.text, data: { is_error: said.isError, cost_usd: said.costUsd } }
    case 'limit':
      return { text: said.text, data: { until: said.until } }
  }
}
