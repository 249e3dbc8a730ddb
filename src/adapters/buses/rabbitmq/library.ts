import { readFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import type { AsyncMessage, Channel, Connection, SyncMessage } from 'rabbitmq-client'
import type { BrokerSettings, TlsSettings } from '../../../contract/brokers.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'

export type { Channel, Connection } from 'rabbitmq-client'

/** A message as it came; its body is bytes, whatever its content type. */
export type RawMessage = Omit<AsyncMessage | SyncMessage, 'body'> & { readonly body: Buffer }

/** Begins to connect to one `host:port`; once, without trying again. */
export type Dial = (address: string) => Connection

/** Frames of this size carry headers of 64 KiB; the broker may ask for smaller ones. */
const FRAME_BYTES = 131_072
const CONNECT_MS = 5000
/** In s; the connection is given up after twice this without a sign of life. */
const HEARTBEAT_S = 5
const NOT_DECODED = 'regent-not-decoded'

/** Loads the client library and the certificates that the settings name. Throws INVALID where a file cannot be read. */
export async function loadDial(settings: BrokerSettings): Promise<Dial> {
  const tls = settings.tls && (await tlsOptions(settings.tls))
  const library = await import('rabbitmq-client')
  return (address) => {
    const [host = '', port = ''] = address.split(/:(?=\d+$)/)
    const connection = new library.Connection({
      hostname: host.replace(/^\[|\]$/g, ''),
      port: Number(port),
      username: settings.username ?? 'guest',
      password: settings.password ?? 'guest',
      vhost: settings.database ?? '/',
      connectionName: settings.clientName ?? 'regent',
      frameMax: FRAME_BYTES,
      connectionTimeout: CONNECT_MS,
      heartbeat: HEARTBEAT_S,
      noDelay: true,
      ...(tls && { tls }),
    })
    gatherWrites((connection as unknown as ConnectionInside)._socket)
    return connection
  }
}

interface ConnectionInside {
  readonly _socket: Socket
  readonly _state: { readonly frameMax: number }
}
interface ChannelInside {
  readonly _state: { maxFrameSize: number }
  _onHeader(frame: { readonly fields: { contentEncoding?: string } }): void
}

/** What is written in one turn goes out together, where the library would send each frame by itself. */
function gatherWrites(socket: Socket): void {
  const write = socket.write
  let gathering = false
  const flush = () => {
    if (!gathering) return
    gathering = false
    socket.uncork()
  }
  socket.write = (...args: unknown[]) => {
    if (!gathering) {
      gathering = true
      socket.cork()
      process.nextTick(flush)
    }
    const hasRoom = Reflect.apply(write, socket, args) as boolean
    if (!hasRoom) flush()
    return hasRoom
  }
}

/**
 * Opens a channel that leaves bodies as they are. The library would parse those of JSON, which loses bytes, unless they name an
 * encoding; and it takes its own frame size for the one that was agreed on.
 */
export async function openChannel(connection: Connection): Promise<Channel> {
  const channel = await connection.acquire({ emitErrorsFromChannel: true })
  const inside = channel as unknown as ChannelInside
  inside._state.maxFrameSize = (connection as unknown as ConnectionInside)._state.frameMax
  const onHeader = inside._onHeader
  inside._onHeader = (frame) => {
    frame.fields.contentEncoding ||= NOT_DECODED
    onHeader.call(channel, frame)
  }
  return channel
}

/** What the sender said of the body's encoding. */
export const encodingOf = ({ contentEncoding }: RawMessage): string | undefined =>
  contentEncoding === NOT_DECODED ? undefined : contentEncoding

async function tlsOptions({ ca, cert, key, verify, checkHostname }: TlsSettings) {
  const [authority, certificate, secret] = await Promise.all([ca, cert, key].map(readPem))
  return {
    ...(authority && { ca: authority }),
    ...(certificate && { cert: certificate }),
    ...(secret && { key: secret }),
    rejectUnauthorized: verify !== false,
    ...(checkHostname === false && { checkServerIdentity: () => undefined }),
  }
}

async function readPem(path: string | undefined): Promise<Buffer | undefined> {
  if (path === undefined) return undefined
  try {
    return await readFile(path)
  } catch (error) {
    throw new RegentError('INVALID', `the broker's certificate file ${path} cannot be read: ${reasonOf(error)}`, { cause: error })
  }
}
