import type { LogLine, LogQuery } from '../../../ports/runtime.ts'
import type { Line } from './lines.ts'
import { logNames } from './log-files.ts'
import { StreamReader } from './stream-reader.ts'

interface Source {
  readonly stream: LogLine['stream']
  readonly reader: StreamReader
  lines: Line[]
  /** How many of `lines` were taken. */
  taken: number
}

/** Reads what one run printed, both streams in the order of time, and what a query leaves of it. */
export class RunReader {
  readonly #runId: string
  readonly #query: LogQuery
  readonly #sources: Source[]

  constructor(runId: string, dir: () => string, query: LogQuery) {
    this.#runId = runId
    this.#query = query
    const streams = query.stream ? [query.stream] : (['stdout', 'stderr'] as const)
    this.#sources = streams.map((stream) => ({
      stream,
      reader: new StreamReader(dir, logNames[stream], query.lineBytes),
      lines: [],
      taken: 0,
    }))
    if (query.since !== undefined) for (const { reader } of this.#sources) reader.toMoment(query.since)
  }

  /** The last `count` lines that the query leaves; reads on from there. `whole`: nobody prints to it any more. */
  async last(count: number, whole: boolean): Promise<LogLine[]> {
    if (this.#query.since === undefined && this.#query.contains === undefined)
      for (const { reader } of this.#sources) await reader.toLast(count)
    let kept: LogLine[] = []
    const keep = (lines: LogLine[]) => {
      kept.push(...lines)
      if (kept.length > 2 * count + 1000) kept = kept.slice(-count)
    }
    for await (const lines of this.next()) keep(lines)
    if (whole) keep(this.rest())
    return count === 0 ? [] : kept.slice(-count)
  }

  /** What is there now and was not read yet. */
  async *next(): AsyncGenerator<LogLine[]> {
    for (;;) {
      const dry = new Set<Source>()
      for (const source of this.#sources) if ((await this.#fill(source)) === 0) dry.add(source)
      if (dry.size === this.#sources.length) return
      const lines = this.#merge((source) => !dry.has(source))
      if (lines.length > 0) yield lines
    }
  }

  /** The last lines, when they have no newline and none will come. */
  rest(): LogLine[] {
    for (const source of this.#sources) source.lines = [...source.lines.slice(source.taken), ...source.reader.rest()]
    for (const source of this.#sources) source.taken = 0
    const lines: LogLine[] = []
    while (this.#sources.some(left)) lines.push(...this.#merge(left))
    return lines
  }

  close(): void {
    for (const { reader } of this.#sources) reader.close()
  }

  async #fill(source: Source): Promise<number> {
    if (left(source)) return source.lines.length
    source.lines = await source.reader.next()
    source.taken = 0
    return source.lines.length
  }

  /** Takes the earliest line as long as all of those that matter have one. */
  #merge(matters: (source: Source) => boolean): LogLine[] {
    const sources = this.#sources.filter(matters)
    const merged: LogLine[] = []
    while (sources.every(left)) {
      const source = sources.reduce((first, other) => (momentOf(other) < momentOf(first) ? other : first))
      const line = source.lines[source.taken]
      source.taken += 1
      if (line && this.#wants(line)) merged.push({ runId: this.#runId, stream: source.stream, ...line })
    }
    return merged
  }

  #wants({ text, at }: Line): boolean {
    const { since, contains } = this.#query
    return (since === undefined || at === null || at >= since) && (contains === undefined || text.includes(contains))
  }
}

const left = ({ lines, taken }: Source): boolean => taken < lines.length
const momentOf = ({ lines, taken }: Source): number => lines[taken]?.at ?? 0
