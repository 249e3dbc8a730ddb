import type { OutputItem } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { clean, cleanLines, cut } from '../output/text.ts'

/** How much of a tool's input or answer is shown where no terminal bounds it. */
const MOST = 500
/** As much as a view tells of a result. */
const REMEMBERED = 65_536

/** Prints what a worker says and does as people read it, and remembers it, so that a result that repeats it is not printed twice. */
export class Transcript {
  readonly #cli: Cli
  #said = ''

  constructor(cli: Cli) {
    this.#cli = cli
  }

  print(item: OutputItem): void {
    const { terminal } = this.#cli
    const room = Math.min(MOST, terminal.width - 2)
    const text = cleanLines(item.text).trimEnd()
    if (item.kind === 'text' || item.kind === 'raw') {
      this.#said = `${this.#said}${text}\n`.slice(-REMEMBERED)
      terminal.out(text)
    } else if (item.kind === 'tool_call') terminal.out(terminal.paint('cyan', `> ${cut(clean(item.text), room)}`))
    else if (item.kind === 'tool_result')
      terminal.out(terminal.paint(item.data.is_error === true ? 'red' : 'dim', `  ${cut(clean(item.text), room)}`))
    else if (item.kind === 'limit') this.#cli.note(`limit: ${clean(item.text)}`)
  }

  /** The result, unless it was said already. */
  result(result: string | null): void {
    const text = cleanLines(result ?? '').trimEnd()
    if (text !== '' && !dense(this.#said).endsWith(dense(text))) this.#cli.terminal.out(text)
  }
}

/** Without empty lines: some agents are read line by line. */
const dense = (text: string): string => text.replaceAll(/\n\s*\n/g, '\n').trim()
