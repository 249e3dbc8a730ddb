import type { OutRow } from '../contract/link.ts'

/** What may wait for a broker that is away: rows, and their characters. */
const MOST_ROWS = 100_000
const MOST_CHARS = 32_000_000
/** Of what is too much, this much more goes at once, so that it is not gone through for each row. */
const SPARE = 0.1

/**
 * The rows of the journal that the agent's channel has not had yet, in order. Where they grow over their bounds the oldest tool
 * notices go first, then the oldest of all. Changed by the journal's entries alone, so that reading the file again gives the same.
 */
export class Unspoken {
  #rows: OutRow[] = []
  #chars = 0
  #position: number | null = null
  /** How many rows were given up since the program began. */
  dropped = 0

  /** The last row that needs not be said any more; null while there is no channel. */
  get position(): number | null {
    return this.#position
  }

  get size(): number {
    return this.#rows.length
  }

  add(row: OutRow): void {
    if (this.#position === null || row.seq <= this.#position || !isForChannels(row)) return
    this.#rows.push(row)
    this.#chars += charsOf(row)
    if (this.#rows.length > MOST_ROWS || this.#chars > MOST_CHARS) this.#shrink()
  }

  /** Everything up to this row was said; null: there is no channel, and nothing is kept for one. */
  spoken(seq: number | null): void {
    this.#position = seq
    let said = 0
    for (const row of this.#rows) {
      if (seq !== null && row.seq > seq) break
      this.#chars -= charsOf(row)
      said++
    }
    if (said > 0) this.#rows.splice(0, said)
  }

  /** The next to be said, up to the row `durable` of the journal. */
  next(durable: number, most: number): readonly OutRow[] {
    const rows = this.#rows.slice(0, most)
    const beyond = rows.findIndex((row) => row.seq > durable)
    return beyond === -1 ? rows : rows.slice(0, beyond)
  }

  upTo(seq: number): readonly OutRow[] {
    return this.#rows.filter((row) => row.seq <= seq)
  }

  renumber(anew: ReadonlyMap<OutRow, OutRow>, last: number): void {
    this.#rows = this.#rows.map((row) => anew.get(row) ?? row)
    if (this.#position !== null) this.#position = this.#rows[0] ? this.#rows[0].seq - 1 : last
  }

  #shrink(): void {
    const before = this.#rows.length
    this.#keep(isNotice)
    this.#keep(() => true)
    this.dropped += before - this.#rows.length
  }

  /** Drops the oldest that `may` go until there is room. */
  #keep(may: (row: OutRow) => boolean): void {
    let rows = this.#rows.length - MOST_ROWS * (1 - SPARE)
    let chars = this.#chars - MOST_CHARS * (1 - SPARE)
    if (this.#rows.length <= MOST_ROWS && this.#chars <= MOST_CHARS) return
    this.#rows = this.#rows.filter((row) => {
      if ((rows <= 0 && chars <= 0) || !may(row)) return true
      const size = charsOf(row)
      this.#chars -= size
      chars -= size
      rows--
      return false
    })
  }
}

const isForChannels = ({ body }: OutRow): boolean => body.kind === 'approval_requested' || (body.kind === 'say' && body.type !== 'notice')

const isNotice = ({ body }: OutRow): boolean => body.kind === 'say' && body.type !== 'assistant'

function charsOf({ body }: OutRow): number {
  if (body.kind === 'say') return typeof body.content === 'string' ? body.content.length : JSON.stringify(body.content ?? null).length
  return body.kind === 'approval_requested' ? JSON.stringify(body.approval.arguments).length : 0
}
