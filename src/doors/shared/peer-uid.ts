import { readFile } from 'node:fs/promises'
import { endianness } from 'node:os'

/** Both ends of a TCP connection, as a socket tells them. */
export interface Ends {
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
}

/** Which local user holds the other end; `undefined` where that cannot be said. Never rejects. */
export type ReadPeerUid = (ends: Ends) => Promise<number | undefined>

/** The kernel's tables of TCP sockets of our network namespace. */
export type ReadTable = (path: '/proc/net/tcp' | '/proc/net/tcp6') => Promise<string>

/** ESTABLISHED, FIN_WAIT1, FIN_WAIT2: the peer has the connection, and may have said its last. */
const held = new Set(['01', '04', '05'])
const bigEndian = endianness() === 'BE'

const readProc: ReadTable = (path) => readFile(path, 'latin1')

/**
 * Reads the uid from /proc/net/tcp{,6}. A socket whose process closed it shows uid 0 and inode 0, and between two fields of a
 * row it may become one: a row without inode counts as nothing, and uid 0 is read twice.
 */
export function createPeerUidReader(readTable: ReadTable = readProc): ReadPeerUid {
  return async (ends) => {
    try {
      const first = (await look(ends, readTable)) ?? (await look(ends, readTable))
      if (first !== 0) return first
      return (await look(ends, readTable)) === 0 ? 0 : undefined
    } catch {
      // Not Linux, or no /proc: nobody can be told by his uid here, and the gate asks for a token.
      return undefined
    }
  }
}

async function look(ends: Ends, readTable: ReadTable): Promise<number | undefined> {
  const { remoteAddress, remotePort, localAddress, localPort } = ends
  if (!remoteAddress || !remotePort || !localAddress || !localPort) return undefined
  const peer4 = words4(remoteAddress)
  const ours4 = words4(localAddress)
  if (peer4 && ours4) {
    const found = find(await readTable('/proc/net/tcp'), `${peer4}:${port(remotePort)}`, `${ours4}:${port(localPort)}`)
    if (found !== undefined) return found
  }
  const peer6 = words6(remoteAddress)
  const ours6 = words6(localAddress)
  if (!peer6 || !ours6) return undefined
  return find(await readTable('/proc/net/tcp6'), `${peer6}:${port(remotePort)}`, `${ours6}:${port(localPort)}`)
}

/** Row: `sl local remote state queues timer retransmits uid timeout inode …`. */
function find(table: string, peer: string, ours: string): number | undefined {
  const ends = ` ${peer} ${ours} `
  for (let at = table.indexOf(ends); at !== -1; at = table.indexOf(ends, at + 1)) {
    const line = table.slice(at + ends.length, table.indexOf('\n', at) === -1 ? undefined : table.indexOf('\n', at))
    const [state = '', , , , uid = '', , inode = '0'] = line.trim().split(/\s+/)
    if (held.has(state) && inode !== '0' && /^\d+$/.test(uid)) return Number(uid)
  }
  return undefined
}

const port = (value: number): string => hex(value, 4)
const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, '0')

/** The kernel prints addresses as 32-bit words in the machine's byte order. */
function word(bytes: readonly number[]): string {
  return (bigEndian ? bytes : bytes.toReversed()).map((byte) => hex(byte, 2)).join('')
}

function bytes4(address: string): number[] | undefined {
  const parts = (address.startsWith('::ffff:') ? address.slice(7) : address).split('.').map(Number)
  return parts.length === 4 && parts.every((part) => Number.isInteger(part) && part >= 0 && part < 256) ? parts : undefined
}

function words4(address: string): string | undefined {
  const bytes = bytes4(address)
  return bytes && word(bytes)
}

/** IPv4 addresses as mapped ones: a socket open to both families is listed so. */
function words6(address: string): string | undefined {
  const mapped = bytes4(address)
  if (mapped) return `${word([0, 0, 0, 0]).repeat(2)}${word([0, 0, 255, 255])}${word(mapped)}`
  if (!URL.canParse(`http://[${address}]`)) return undefined
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::')
  const groups = (text: string): number[] =>
    text
      .split(':')
      .filter(Boolean)
      .map((group) => Number.parseInt(group, 16))
  const start = groups(head)
  const end = groups(tail ?? '')
  const all = [...start, ...new Array<number>(8 - start.length - end.length).fill(0), ...end]
  const bytes = all.flatMap((group) => [group >> 8, group & 255])
  return [0, 4, 8, 12].map((at) => word(bytes.slice(at, at + 4))).join('')
}
