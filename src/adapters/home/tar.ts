import { RegentError } from '../../kernel/errors.ts'

/** The part of the tar format (POSIX ustar) that a backup needs: regular files, read and written as streams. */

const BLOCK = 512
/** Sizes from here on do not fit in eleven octal digits; GNU's binary form takes them. */
const OCTAL_END = 8 ** 11

export interface TarHeader {
  readonly path: string
  readonly mode: number
  /** Bytes. */
  readonly size: number
  /** Epoch seconds. */
  readonly mtime: number
}

export interface TarEntry extends TarHeader {
  /** To be read to its end before the next entry is asked for. */
  readonly content: AsyncIterable<Buffer>
}

/** The header block of one file. Throws INVALID for a path that the format has no room for. */
export function tarHeader({ path, mode, size, mtime }: TarHeader): Buffer {
  const block = Buffer.alloc(BLOCK)
  const { prefix, name } = split(path)
  block.write(name, 0, 100)
  block.write(octal(mode, 8), 100)
  block.write(octal(0, 8), 108)
  block.write(octal(0, 8), 116)
  if (size < OCTAL_END) block.write(octal(size, 12), 124)
  else {
    block[124] = 0x80
    block.writeBigUInt64BE(BigInt(size), 128)
  }
  block.write(octal(mtime, 12), 136)
  block.write('0', 156)
  block.write('ustar\x0000', 257, 'latin1')
  block.write(prefix, 345, 155)
  block.write(`${octal(checksum(block), 7)} `, 148)
  return block
}

/** What fills the last block of a file of this size. */
export const tarPadding = (size: number): Buffer => Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK)

export const tarEnd = (): Buffer => Buffer.alloc(2 * BLOCK)

/** The entries of an archive, in order. Throws INVALID for what is cut off, damaged, or holds anything but regular files. */
export async function* readTar(source: AsyncIterable<Buffer>): AsyncGenerator<TarEntry> {
  const reader = new Blocks(source)
  for (;;) {
    const block = await reader.take(BLOCK)
    if (block.every((byte) => byte === 0)) return
    const header = headerOf(block)
    let left = header.size
    const content = async function* () {
      while (left > 0) {
        const piece = await reader.some(left)
        left -= piece.length
        yield piece
      }
    }
    yield { ...header, content: content() }
    if (left > 0) throw new RegentError('INTERNAL', `${header.path} was not read to its end`)
    await reader.take(tarPadding(header.size).length)
  }
}

const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`

/** The sum of all bytes, with blanks in the place of the sum itself. */
const checksum = (block: Buffer): number => block.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0)

function split(path: string): { prefix: string; name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path }
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { prefix, name }
  }
  throw new RegentError('INVALID', `the name is too long for an archive: ${path}`)
}

function headerOf(block: Buffer): TarHeader {
  const text = (from: number, length: number): string => {
    const field = block.subarray(from, from + length)
    const end = field.indexOf(0)
    return field.toString('utf8', 0, end < 0 ? length : end)
  }
  const number = (from: number, length: number): number => Number.parseInt(text(from, length).trim() || '0', 8)
  if (number(148, 8) !== checksum(block)) throw damaged('a header is not one of a tar archive')
  const prefix = text(345, 155)
  const path = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`
  const type = String.fromCharCode(block[156] ?? 0)
  if (type !== '0' && type !== '\0') throw damaged(`${path} is not a regular file`)
  const size = block[124] === 0x80 ? Number(block.readBigUInt64BE(128)) : number(124, 12)
  if (!Number.isSafeInteger(size)) throw damaged(`the size of ${path} cannot be`)
  return { path, mode: number(100, 8), size, mtime: number(136, 12) }
}

const damaged = (problem: string): RegentError => new RegentError('INVALID', `the archive is damaged: ${problem}`)

/** Reads a stream of pieces in the lengths that are asked for. */
class Blocks {
  readonly #pieces: AsyncIterator<Buffer>
  #rest: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#pieces = source[Symbol.asyncIterator]()
  }

  /** At most `most` bytes, at least one. */
  async some(most: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const { value, done } = await this.#pieces.next()
      if (done) throw damaged('it is cut off')
      this.#rest = value
    }
    const piece = this.#rest.subarray(0, most)
    this.#rest = this.#rest.subarray(piece.length)
    return piece
  }

  /** Exactly so many bytes. */
  async take(length: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let left = length; left > 0; ) {
      const piece = await this.some(left)
      pieces.push(piece)
      left -= piece.length
    }
    return Buffer.concat(pieces)
  }
}
