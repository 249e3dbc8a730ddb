import { Fault } from './faults.ts'

/** What one answer carries at most of a log. */
const MOST_BYTES = 1 << 20

/** A piece of a log, and how long the whole of it is, in bytes. */
export interface Piece {
  readonly text: string
  readonly size: number
}

/** supervisord's `readLog`: from `offset`, `length` bytes (0: all); a negative offset counts from the end, with length 0. */
export async function readPiece(lines: AsyncIterable<Buffer>, offset: number, length: number): Promise<string> {
  if (length < 0 || (offset < 0 && length !== 0)) throw new Fault('BAD_ARGUMENTS')
  if (offset < 0) return (await lastBytes(lines, -offset)).text
  const most = Math.min(length === 0 ? MOST_BYTES : length, MOST_BYTES)
  const kept: Buffer[] = []
  let at = 0
  for await (const line of lines) {
    const piece = line.subarray(Math.max(0, offset - at), Math.max(0, offset + most - at))
    if (piece.length > 0) kept.push(piece)
    at += line.length
    if (at >= offset + most) break
  }
  return wholeCharacters(Buffer.concat(kept))
}

/** The last `most` bytes. */
export async function lastBytes(lines: AsyncIterable<Buffer>, most: number): Promise<Piece> {
  const limit = Math.min(most, MOST_BYTES)
  let kept: Buffer[] = []
  let held = 0
  let size = 0
  for await (const line of lines) {
    size += line.length
    held += line.length
    kept.push(line)
    // Joined now and then, so that dropping the front stays cheap.
    if (held > 2 * limit + 65_536) {
      kept = [Buffer.from(last(Buffer.concat(kept), limit))]
      held = kept[0]?.length ?? 0
    }
  }
  return { text: wholeCharacters(last(Buffer.concat(kept), limit)), size }
}

/** The last `most` bytes of what is at hand. */
export const endOf = (bytes: Buffer, most: number): string => wholeCharacters(last(bytes, most))

/** supervisord's `tailLog`: the last `length` bytes unless the reader, at `offset`, has them all. */
export async function tailPiece(lines: AsyncIterable<Buffer>, offset: number, length: number): Promise<[string, number, boolean]> {
  const { text, size } = await lastBytes(lines, Math.max(0, length))
  const overflow = size > offset + length
  return [overflow || offset < size ? text : '', size, overflow]
}

const last = (bytes: Buffer, most: number): Buffer => bytes.subarray(Math.max(0, bytes.length - most))

/** Without the rest of a character whose beginning was cut off. */
function wholeCharacters(bytes: Buffer): string {
  let start = 0
  while (start < Math.min(3, bytes.length) && ((bytes[start] ?? 0) & 0xc0) === 0x80) start++
  return bytes.toString('utf8', start)
}
