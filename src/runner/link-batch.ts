import type { OutRow } from '../contract/link.ts'

const ROWS = 500
const BATCH_CHARS = 128 * 1024

export interface Batch {
  /** Each as JSON. */
  readonly rows: readonly string[]
  /** The number of the last of them. */
  readonly last: number
  /** Messages whose work has ended, as these rows tell. */
  readonly ended: readonly string[]
}

/** The rows after `sent` up to `durable` that fit one frame; a row that is larger than a frame should be goes alone. */
export function takeBatch(out: readonly OutRow[], sent: number, durable: number): Batch {
  const rows: string[] = []
  const ended: string[] = []
  let last = sent
  let size = 0
  // Numbers have no gaps, so the place of the first is known.
  const [oldest] = out
  const from = oldest === undefined ? 0 : Math.max(0, sent + 1 - oldest.seq)
  for (let at = from; at < out.length; at++) {
    const row = out[at]
    if (row === undefined || row.seq > durable || rows.length === ROWS) break
    const text = JSON.stringify(row)
    size += text.length
    if (rows.length > 0 && size > BATCH_CHARS) break
    rows.push(text)
    last = row.seq
    if (row.body.kind === 'done' || row.body.kind === 'failed') ended.push(row.body.message_id)
  }
  return { rows, last, ended }
}

/** The frame that takes them to Regent. */
export const outFrame = ({ rows }: Batch, accepted: readonly string[]): string =>
  `{"type":"out","rows":[${rows.join()}],"accepted":${JSON.stringify(accepted)}}`
