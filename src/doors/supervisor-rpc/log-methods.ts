import { readPiece, tailPiece } from './bytes.ts'
import { Fault } from './faults.ts'
import { each, visible } from './life-methods.ts'
import { type Context, method, type Open } from './method.ts'
import { type AgentProgram, isAgent, type Program, programOf } from './programs.ts'

export type Channel = 'stdout' | 'stderr'

const read = (channel: Channel) =>
  method(`Read a program's ${channel}: bytes from an offset, or the last ones`, 'string', ['string', 'int', 'int'], readLogOf(channel))
const tail = (channel: Channel) =>
  method(
    `The last bytes of a program's ${channel}, its size, and whether it overflowed`,
    'array',
    ['string', 'int', 'int'],
    tailOf(channel),
  )
const clear = method("Forget a program's output", 'boolean', ['string'], async (context, name) => {
  await clearLog(context, programOf(await visible(context), name))
  return true
})

/** What programs print. */
export const logMethods = {
  readProcessStdoutLog: read('stdout'),
  readProcessStderrLog: read('stderr'),
  readProcessLog: read('stdout'),
  tailProcessStdoutLog: tail('stdout'),
  tailProcessStderrLog: tail('stderr'),
  tailProcessLog: tail('stdout'),
  clearProcessLogs: clear,
  clearProcessLog: clear,
  clearAllProcessLogs: method('Forget the output of every program, Regent itself not', 'array', [], async (context) =>
    each(context, await visible(context), (program) => clearLog(context, program)),
  ),
  readLog: method("Read Regent's own log: bytes from an offset, or the last ones", 'string', ['int', 'int'], readMain),
  readMainLog: method("Read Regent's own log: bytes from an offset, or the last ones", 'string', ['int', 'int'], readMain),
  clearLog: method("Forget Regent's own log", 'boolean', [], ({ mainLog }) => {
    mainBytes({ mainLog })
    mainLog.clear()
    return true
  }),
}

function readLogOf(channel: Channel) {
  return async (context: Context, name: string, offset: number, length: number): Promise<string> => {
    const program = programOf(await visible(context), name)
    if (!isAgent(program)) return readMain(context, offset, length)
    return readPiece(output(context.open, program, channel, offset < 0 ? -offset : undefined), offset, length)
  }
}

function tailOf(channel: Channel) {
  return async (context: Context, name: string, offset: number, length: number): Promise<[string, number, boolean]> => {
    const program = programOf(await visible(context), name)
    const lines = isAgent(program) ? output(context.open, program, channel) : once(mainBytes(context))
    return tailPiece(lines, offset, length)
  }
}

async function readMain(context: Pick<Context, 'mainLog'>, offset: number, length: number): Promise<string> {
  return readPiece(once(mainBytes(context)), offset, length)
}

/** Throws NO_FILE. */
export function mainBytes({ mainLog }: Pick<Context, 'mainLog'>): Buffer {
  const bytes = mainLog.read()
  if (!bytes) throw new Fault('NO_FILE', "Regent's own log")
  return bytes
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes
}

async function clearLog({ ask, mainLog }: Context, program: Program): Promise<void> {
  if (isAgent(program)) await ask('agents.clear_logs', { agent: program.agent.id })
  else mainLog.clear()
}

/** The last lines are gathered before the first of them is given out; what is read from its beginning is not. */
const MOST_GATHERED = 100_000

/** What an agent printed, by lines; `lastBytes` spares reading more than those can hold. */
async function* output(open: Open, program: AgentProgram, channel: Channel, lastBytes = Number.POSITIVE_INFINITY): AsyncGenerator<Buffer> {
  const query = lastBytes <= MOST_GATHERED ? { tail: lastBytes } : { since: 0 }
  for await (const text of linesOf(open, program, channel, query)) yield Buffer.from(text)
}

/**
 * Each line with its end. The log of a team holds both streams, as its `.ini` says (`redirect_stderr=true`); another program's stdout is
 * its stdout alone.
 */
export async function* linesOf(
  open: Open,
  { agent }: AgentProgram,
  channel: Channel,
  query: { readonly tail?: number; readonly since?: number; readonly follow?: boolean },
  signal?: AbortSignal,
): AsyncGenerator<string> {
  const both = agent.kind === 'team' && channel === 'stdout'
  const input = { agent: agent.id, ...query, ...(!both && { stream: channel }) }
  for await (const line of open('agents.logs', input, signal)) yield `${(line as { text: string }).text}\n`
}
