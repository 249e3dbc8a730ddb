import { type Command, Option } from 'commander'
import type { Client } from '../../../client/client.ts'
import { RegentError } from '../../../kernel/errors.ts'
import { fullName, listAgents, widest } from '../agents.ts'
import type { Cli } from '../cli.ts'
import { followLines, type Line, type LogInput, Received } from '../log-lines.ts'
import { countOption, withFormat } from '../options.ts'
import { type FormatOptions, formatOf } from '../output/format.ts'
import type { Colour } from '../output/terminal.ts'
import { cleanLines, timeOf } from '../output/text.ts'
import { about, filterAgents } from '../targets.ts'

interface Options extends FormatOptions {
  follow?: boolean
  tail?: number
  since?: string
  grep?: RegExp
  stream?: 'stdout' | 'stderr'
  timestamps?: boolean
  prefix: boolean
}

/** Their ids stand in an address, which is bounded. */
const MOST_NAMED = 300
const DEFAULT_TAIL = 100

const colours: readonly Colour[] = ['cyan', 'magenta', 'green', 'yellow', 'blue']

export function configure(command: Command, cli: Cli): void {
  withFormat(command, ['table', 'json'])
    .argument('[AGENT...]', 'names, owner/name, ids, globs; none, or all: every agent, later ones included')
    .option('-f, --follow', 'go on with what is printed from now on')
    .option('-n, --tail <N>', 'only the last N lines of each (default 100; with --since all)', countOption)
    .option('--since <WHEN>', 'only what was printed from then on: 10m, an ISO time, or epoch ms')
    .option('--grep <REGEX>', 'only lines that match', patternOption)
    .addOption(new Option('--stream <STREAM>', 'only this one').choices(['stdout', 'stderr']))
    .option('-t, --timestamps', 'when a line was printed, where that is known')
    .option('--no-prefix', 'no names before the lines of several')
    .addHelpText('after', '\nSeveral agents are merged in the order of time. -o json prints one object a line.')
    .action(async (words: string[], options: Options) => {
      const client = await cli.client()
      const isOne = words.length === 1 && isPlain(words[0] ?? '')
      const named = isOne && !options.follow ? { agents: words, names: [] } : await namedBy(cli, client, words)
      const print = printer(cli, options, isOne && named.names.length < 2 ? [] : named.names)
      const input = { ...(named.agents && { agents: named.agents }), ...queryOf(options) }
      const show = () => (options.grep ? showMatching(cli, client, input, options, print) : showAll(cli, client, input, options, print))
      await (isOne ? about(client, words[0] ?? '', show) : show())
    })
}

const isPlain = (word: string): boolean => word !== 'all' && !/[*?[{]/.test(word)

/** Undefined agents: every one, later ones too. */
async function namedBy(cli: Cli, client: Client, words: readonly string[]): Promise<{ agents?: string[]; names: string[] }> {
  const found = filterAgents(await listAgents(client, undefined, cli.signal), words)
  const names = found.map(fullName)
  if (words.length === 0 || words.includes('all')) return { names }
  if (found.length > MOST_NAMED)
    throw new RegentError('BAD_REQUEST', `${found.length} agents are too many to name`, { hint: `name at most ${MOST_NAMED}, or all` })
  return { agents: found.map(({ id }) => id), names }
}

const queryOf = ({ since, stream, tail }: Options): LogInput => ({
  ...(since !== undefined && { since }),
  ...(stream && { stream }),
  ...(tail !== undefined && { tail }),
})

type Print = (line: Line) => void

async function showAll(cli: Cli, client: Client, input: LogInput, { follow }: Options, print: Print): Promise<void> {
  const lines = follow ? followLines(cli, input, new Received()) : client.open('logs.stream', input, { signal: cli.signal })
  for await (const line of lines) print(line)
}

/** All that is kept is looked through, so that the last N are the last that match; then what comes. */
async function showMatching(cli: Cli, client: Client, input: LogInput, options: Options, print: Print): Promise<void> {
  const { grep = /^/, follow, tail = options.since === undefined ? DEFAULT_TAIL : undefined } = options
  const received = new Received()
  const { tail: _, ...given } = input
  const whole = { since: 0, ...given }
  const last = new LastOfEach(tail ?? Number.POSITIVE_INFINITY)
  for await (const line of client.open('logs.stream', whole, { signal: cli.signal })) {
    received.take(line)
    if (!grep.test(line.text)) continue
    if (tail === undefined) print(line)
    else last.add(line)
  }
  for (const line of last.lines()) print(line)
  if (!follow) return
  for await (const line of followLines(cli, whole, received, false)) if (grep.test(line.text)) print(line)
}

/** The last lines of each agent, in the order they came. */
class LastOfEach {
  readonly #most: number
  readonly #ofAgent = new Map<string, { readonly line: Line; readonly order: number }[]>()
  #count = 0

  constructor(most: number) {
    this.#most = most
  }

  add(line: Line): void {
    const kept = this.#ofAgent.get(line.agent_id) ?? []
    this.#ofAgent.set(line.agent_id, kept)
    kept.push({ line, order: this.#count++ })
    if (kept.length > this.#most) kept.shift()
  }

  lines(): Line[] {
    return [...this.#ofAgent.values()]
      .flat()
      .sort((a, b) => a.order - b.order)
      .map(({ line }) => line)
  }
}

/** `names`: of the agents that are known now, for lines that are told apart. */
function printer(cli: Cli, options: Options, names: readonly string[]): Print {
  const { terminal } = cli
  if (formatOf(options) === 'json') return (line) => terminal.out(JSON.stringify(line))
  const colourOf = new Map<string, Colour>()
  let width = widest(names)
  const prefixOf = (agent: string): string => {
    if (!options.prefix || names.length === 0) return ''
    width = Math.max(width, agent.length)
    const colour = colourOf.get(agent) ?? colours[colourOf.size % colours.length] ?? 'cyan'
    colourOf.set(agent, colour)
    return `${terminal.paint(colour, agent.padEnd(width))} | `
  }
  return ({ agent, stream, at, text }) => {
    const time = options.timestamps && at !== null ? `${terminal.paint('dim', timeOf(at))} ` : ''
    const shown = terminal.outIsTerminal ? cleanLines(text) : text
    const marked = terminal.outIsTerminal && stream === 'stderr' ? terminal.paint('red', shown) : shown
    terminal.out(prefixOf(agent) + time + marked)
  }
}

function patternOption(text: string): RegExp {
  try {
    return new RegExp(text, 'u')
  } catch (error) {
    throw new RegentError('BAD_REQUEST', `--grep: ${(error as Error).message}`)
  }
}
