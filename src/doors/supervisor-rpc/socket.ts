import { once } from 'node:events'
import { chmodSync, lstatSync, rmSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { RegentError, systemCode } from '../../kernel/errors.ts'

/** What the kernel takes as the path of a socket: 108 bytes with the final NUL, 104 on macOS. */
const LONGEST_PATH = process.platform === 'darwin' ? 103 : 107

/**
 * Listens at a path, for this user alone. A socket that a dead server left is replaced; one on which somebody answers never is, nor
 * anything that is no socket. Throws UNAVAILABLE. Closing the server removes the socket.
 */
export async function listenAt(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > LONGEST_PATH)
    throw unavailable(`${path} is too long for a socket: at most ${LONGEST_PATH} bytes`, 'name a home with a shorter path')
  await removeStale(path)
  server.listen({ path })
  try {
    await once(server, 'listening')
    chmodSync(path, 0o600)
  } catch (error) {
    server.close()
    throw unavailable(`cannot listen on ${path}`, 'see that the folder can be written', error)
  }
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (!found) return
  if (!found.isSocket()) throw unavailable(`${path} is not a socket`, 'move it away')
  if (await answers(path)) throw unavailable(`another program listens on ${path}`, 'end it first')
  rmSync(path, { force: true })
}

async function answers(path: string): Promise<boolean> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return true
  } catch (error) {
    // Only this tells that nobody is there; a full queue, for one, tells the opposite.
    return systemCode(error) !== 'ECONNREFUSED' && systemCode(error) !== 'ENOENT'
  } finally {
    socket.destroy()
  }
}

const unavailable = (message: string, hint: string, cause?: unknown): RegentError =>
  new RegentError('UNAVAILABLE', message, { hint, ...(cause !== undefined && { cause }) })
