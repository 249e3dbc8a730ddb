import type { OutRow } from '../contract/link.ts'

const ROWS = 500
const BATCH_CHARS = 128 * 1024

/** The rows after `sent` up to `durable` that fit one frame; a row that is larger than a frame should be goes alone. */
export function takeBatch(rows: readonly OutRow[], sent: number, durable: number): OutRow[] {
  const batch: OutRow[] = []
  let size = 0
  // Numbers have no gaps, so the place of the first is known.
  const [oldest] = rows
  const from = oldest === undefined ? 0 : Math.max(0, sent + 1 - oldest.seq)
  for (let at = from; at < rows.length; at++) {
    const row = rows[at]
    if (row === undefined || row.seq > durable || batch.length === ROWS) break
    size += JSON.stringify(row).length
    if (batch.length > 0 && size > BATCH_CHARS) break
    batch.push(row)
  }
  return batch
}
