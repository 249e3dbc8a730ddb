// Ports of the test servers: scratch ports on loopback, and proof that nothing listens elsewhere.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'

/** The preferred port when nobody listens there, else a free one. */
export async function port(preferred) {
  return (await tryPort(preferred)) ?? (await tryPort(0))
}

function tryPort(number) {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.on('error', (error) => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error)))
    server.listen({ host: '127.0.0.1', port: number, exclusive: true }, () => {
      const { port: found } = server.address()
      server.close(() => resolve(found))
    })
  })
}

/** Addresses beyond loopback on which one of the processes listens for TCP, as `pid ADDRESS:PORT`. */
export function exposed(processes) {
  const owners = new Map(processes.flatMap(({ pid }) => inodes(pid).map((inode) => [inode, pid])))
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap(listeners).flatMap(({ host, port: number, inode }) => {
    const pid = owners.get(inode)
    return pid === undefined || isLoopback(host) ? [] : [`${pid} ${host}:${number}`]
  })
}

const isLoopback = (hex) => (hex.length === 8 ? hex.endsWith('7F') : /^(0{24}01000000|0{16}FFFF0000.{6}7F)$/.test(hex))

function listeners(file) {
  const listening = '0A'
  const rows = readOr(() => readFileSync(file, 'utf8'), '')
    .trimEnd()
    .split('\n')
    .slice(1)
  return rows.flatMap((row) => {
    const fields = row.trim().split(/\s+/)
    const [host, number] = (fields[1] ?? '').split(':')
    return fields[3] === listening ? [{ host, port: Number.parseInt(number, 16), inode: fields[9] }] : []
  })
}

function inodes(pid) {
  const links = readOr(() => readdirSync(`/proc/${pid}/fd`), []).map((name) => readOr(() => readlinkSync(`/proc/${pid}/fd/${name}`), ''))
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}

function readOr(read, otherwise) {
  try {
    return read()
  } catch {
    return otherwise
  }
}
