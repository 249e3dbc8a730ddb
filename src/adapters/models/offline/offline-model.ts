import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../../kernel/clock.ts'
import { RegentError } from '../../../kernel/errors.ts'
import type { Model, ModelAnswer, ModelCall, ModelRequest, Turn } from '../../../ports/model.ts'
import { type Command, parseScript } from './script.ts'

export interface OfflineOptions {
  readonly clock: Clock
  /** Said with every answer when it stands in for another model. */
  readonly notice: string | null
}

const pieceLength = 24
const PIECES_AT_ONCE = 8
const charactersPerToken = 4
const nothingToDo = 'Nothing to do here:'

/** A model without a network: it echoes, obeys the script of docs/offline-model.md, and never pretends to understand. */
export function createOfflineModel({ clock, notice }: OfflineOptions): Model {
  return {
    id: 'offline',
    contextTokens: 128_000,
    notice,
    async answer(request) {
      request.signal.throwIfAborted()
      const writer = new Writer(request)
      const calls = await answers[request.purpose](request, writer, clock)
      const asked = request.turns.reduce((sum, { text }) => sum + text.length, request.system.length)
      return {
        text: writer.text,
        calls,
        finish: calls.length > 0 ? 'tool-calls' : 'stop',
        usage: { inputTokens: Math.ceil(asked / charactersPerToken), outputTokens: Math.ceil(writer.text.length / charactersPerToken) },
        costUsd: 0,
      }
    },
  }
}

type Answer = (request: ModelRequest, writer: Writer, clock: Clock) => Promise<ModelAnswer['calls']>

/** Passes text on in pieces, so that others run in between and an answer can be cut in its middle. */
class Writer {
  text = ''
  readonly #request: ModelRequest

  constructor(request: ModelRequest) {
    this.#request = request
  }

  /** A paragraph of its own, set off from what was written before. */
  async write(paragraph: string): Promise<void> {
    const whole = this.text === '' ? paragraph : `\n${paragraph}`
    let pieces = 0
    for (let at = 0; at < whole.length; ) {
      this.#request.signal.throwIfAborted()
      const end = endOfPiece(whole, at)
      this.text += whole.slice(at, end)
      this.#request.onText?.(whole.slice(at, end))
      at = end
      if (++pieces % PIECES_AT_ONCE === 0) await turn()
    }
  }
}

/** Never between the halves of a surrogate pair. */
function endOfPiece(text: string, from: number): number {
  const end = from + pieceLength
  const half = text.charCodeAt(end - 1)
  return half >= 0xd800 && half <= 0xdbff ? end + 1 : end
}

const answers: Record<ModelRequest['purpose'], Answer> = {
  plan: async (request, writer) => {
    await writer.write(JSON.stringify(planOf(request)))
    return []
  },
  work: async (request, writer, clock) => {
    const { asked, results } = sinceTheUser(request.turns)
    const script = parseScript(asked)
    if (script.length === 0) {
      await writer.write(`You said: ${asked}`)
      return []
    }
    return await obey(script, results, request, writer, clock)
  },
  synthesise: async (request, writer) => {
    await writer.write(synthesis(request))
    return []
  },
  condense: async (request, writer) => {
    await writer.write(condensed(request))
    return []
  },
  sample: async (request, writer) => {
    await writer.write(`You said: ${sinceTheUser(request.turns).asked}`)
    return []
  },
}

/** The last thing a user said, and what tools have answered since. */
function sinceTheUser(turns: readonly Turn[]): { asked: string; results: Extract<Turn, { role: 'tool' }>[] } {
  const at = turns.findLastIndex(({ role }) => role === 'user')
  return { asked: turns[at]?.text ?? '', results: turns.slice(at + 1).filter((one) => one.role === 'tool') }
}

/**
 * Goes on behind the calls that are answered already: one call at a time, in order. The last answer quotes every result, so that
 * it stands by itself.
 */
async function obey(script: Command[], results: Extract<Turn, { role: 'tool' }>[], request: ModelRequest, writer: Writer, clock: Clock) {
  const known = script.map((command) => (command.kind === 'call' ? toolNamed(command.tool, request) : undefined))
  const from = script.findIndex((_, at) => known.slice(0, at).filter((name) => name !== undefined).length === results.length)
  const rest = from === -1 ? [] : script.slice(from)
  const next = rest.findIndex((_, at) => known[from + at] !== undefined)
  if (next === -1) for (const { tool, text, isError } of results) await writer.write(`${tool} ${isError ? 'failed' : 'answered'}:\n${text}`)
  for (const command of next === -1 ? rest : rest.slice(0, next)) {
    if (command.kind === 'say') await writer.write(command.text)
    if (command.kind === 'sleep') await clock.sleep(command.ms, request.signal)
    if (command.kind === 'fail') throw new RegentError('UPSTREAM', command.text, { hint: 'The message asked the offline model to fail.' })
  }
  const call = rest[next]
  const name = known[from + next]
  if (call?.kind === 'call' && name !== undefined) return [{ id: callId(request.turns), tool: name, args: call.args } satisfies ModelCall]
  for (const command of script) await complain(command, request, writer)
  return []
}

/** By its name, or by the last part of a name that carries its server's (`fetch` for `web_fetch`) where only one tool fits. */
function toolNamed(wanted: string, { tools }: ModelRequest): string | undefined {
  if (tools.some(({ name }) => name === wanted)) return wanted
  const fitting = tools.filter(({ name }) => name.endsWith(wanted) && /[^A-Za-z0-9]/.test(name.at(-wanted.length - 1) ?? ''))
  return fitting.length === 1 ? fitting[0]?.name : undefined
}

async function complain(command: Command, request: ModelRequest, writer: Writer): Promise<void> {
  if (command.kind === 'broken') await writer.write(`I could not read the arguments of this call as a JSON object: ${command.line}`)
  if (command.kind !== 'call' || toolNamed(command.tool, request) !== undefined) return
  const names = request.tools.map(({ name }) => name)
  const has = names.length === 0 ? 'no tools' : `only ${names.slice(0, 20).join(', ')}${names.length > 20 ? ', …' : ''}`
  await writer.write(`${nothingToDo} I have no tool named ${command.tool}, ${has}.`)
}

/** The same conversation always gives the same id, and no two calls of one conversation share it. */
const callId = (turns: readonly Turn[]): string =>
  `offline-${turns.reduce((sum, one) => sum + (one.role === 'assistant' ? one.calls.length : 0), 1)}`

function planOf({ facts, team = [], turns }: ModelRequest) {
  const later = facts === undefined ? turns.some(({ role, text }) => role === 'assistant' && /"steps"\s*:/.test(text)) : facts.round > 1
  if (later || team.length === 0) return { steps: [], is_complete: true }
  const description = facts?.objective ?? sinceTheUser(turns).asked
  return { steps: [{ description, tasks: team.map((agent) => ({ description, agent })) }], is_complete: false }
}

/** The results under the names of those who gave them; who had nothing to do is left out where someone had. */
function synthesis({ facts, turns }: ModelRequest): string {
  if (facts === undefined) return sinceTheUser(turns).asked
  const useful = facts.results.filter(({ text }) => !text.startsWith(nothingToDo))
  const told = useful.length > 0 ? useful : facts.results
  if (told.length === 0) return `You said: ${facts.objective}`
  return told.length === 1 ? (told[0]?.text ?? '') : told.map(({ agent, text }) => `${agent}: ${text}`).join('\n\n')
}

function condensed({ turns, maxOutputTokens = 1000 }: ModelRequest): string {
  const whole = turns.map(({ role, text }) => `${role}: ${text}`).join('\n')
  const room = Math.max(200, maxOutputTokens * charactersPerToken - 100)
  if (whole.length <= room) return whole
  return `[The offline model cannot summarise: the first ${whole.length - room} characters are left out.]\n${whole.slice(-room).toWellFormed()}`
}
