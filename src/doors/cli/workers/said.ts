import type { OutputItem } from '../../../contract/workers.ts'
import type { Cli } from '../cli.ts'
import { clean, cleanLines, cut } from '../output/text.ts'

/** How much of a tool's input or answer is shown where no terminal bounds it. */
const MOST = 500

/** Prints what a worker says and does as people read it; remembers the last text, so that a result that repeats it is not printed twice. */
export class Transcript {
  readonly #cli: Cli
  #last = ''

  constructor(cli: Cli) {
    this.#cli = cli
  }

  print(item: OutputItem): void {
    const { terminal } = this.#cli
    const room = Math.min(MOST, terminal.width - 2)
    const text = cleanLines(item.text).trimEnd()
    if (item.kind === 'text' || item.kind === 'raw') {
      this.#last = text
      terminal.out(text)
    } else if (item.kind === 'tool_call') terminal.out(terminal.paint('cyan', `> ${cut(clean(item.text), room)}`))
    else if (item.kind === 'tool_result')
      terminal.out(terminal.paint(item.data.is_error === true ? 'red' : 'dim', `  ${cut(clean(item.text), room)}`))
    else if (item.kind === 'limit') this.#cli.note(`limit: ${clean(item.text)}`)
  }

  /** The result, unless it was the last thing said. */
  result(result: string | null): void {
    const text = cleanLines(result ?? '').trimEnd()
    if (text !== '' && text !== this.#last) this.#cli.terminal.out(text)
  }
}
