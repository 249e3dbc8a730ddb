import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { endOf } from './bytes.ts'
import { visible } from './life-methods.ts'
import { type Channel, linesOf, mainBytes } from './log-methods.ts'
import type { Context } from './method.ts'
import { type AgentProgram, isAgent, programOf } from './programs.ts'

/** How much of what was printed before comes first, in bytes. */
const HEAD = 1024
/** Lines that wait for a reader of Regent's own log. */
const MOST_WAITING = 1000

/** `GET /logtail/NAME[/stdout|/stderr]`: what is there, then what comes, until the reader goes. Throws Fault BAD_NAME, NO_FILE. */
export async function logtail(context: Context, path: string, answer: ServerResponse, signal: AbortSignal): Promise<void> {
  const [, name = '', channel = 'stdout'] = /^(.*?)(?:\/(stdout|stderr))?$/.exec(path) ?? []
  const program = programOf(await visible(context), name)
  if (!isAgent(program)) return mainLogtail(context, answer, signal)
  begin(answer)
  const lines = await headOf(context, program, channel as Channel)
  await pour(linesOf(context.open, program, channel as Channel, { tail: lines, follow: true }, signal), answer, signal)
}

/** `GET /mainlogtail`: the same of Regent's own log. */
export async function mainLogtail(context: Context, answer: ServerResponse, signal: AbortSignal): Promise<void> {
  mainBytes(context)
  begin(answer)
  await pour(mainLines(context, signal), answer, signal)
}

/** How many of the last lines make up the head, one at least. */
async function headOf({ open }: Context, program: AgentProgram, channel: Channel): Promise<number> {
  const sizes: number[] = []
  for await (const line of linesOf(open, program, channel, { tail: HEAD })) sizes.push(Buffer.byteLength(line))
  let lines = 0
  let bytes = 0
  for (const size of sizes.reverse()) {
    bytes += size
    if (lines > 0 && bytes > HEAD) break
    lines++
  }
  return lines
}

async function* mainLines(context: Context, signal: AbortSignal): AsyncGenerator<string> {
  // Read and watched in one turn: no line is lost or told twice.
  const waiting: string[] = [endOf(mainBytes(context), HEAD)]
  let wake = () => {}
  const unwatch = context.mainLog.watch((line) => {
    // A reader who takes nothing loses lines; they are in the file.
    if (waiting.length < MOST_WAITING) waiting.push(line)
    wake()
  })
  const ended = () => wake()
  signal.addEventListener('abort', ended)
  try {
    while (!signal.aborted) {
      const text = waiting.splice(0).join('')
      if (text !== '') yield text
      else
        await new Promise<void>((resolve) => {
          wake = resolve
        })
    }
  } finally {
    unwatch()
    signal.removeEventListener('abort', ended)
  }
}

function begin(answer: ServerResponse): void {
  answer.writeHead(200, { 'Content-Type': 'text/plain;charset=utf-8', 'X-Accel-Buffering': 'no' })
  answer.flushHeaders()
}

/** One chunk for each text: supervisorctl takes every chunk for whole characters. */
async function pour(texts: AsyncIterable<string>, answer: ServerResponse, signal: AbortSignal): Promise<void> {
  for await (const text of texts) {
    if (signal.aborted) break
    if (!answer.write(text.toWellFormed())) await once(answer, 'drain', { signal })
  }
  answer.end()
}
