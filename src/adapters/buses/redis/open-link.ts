import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { createClient, createCluster, ErrorReply } from 'redis'
import type { BrokerSettings, TlsSettings } from '../../../contract/brokers.ts'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import { Refusal } from './refusal.ts'

export type OnMessage = (body: string, channel: string) => void

/** One connection, or one cluster's; once lost it stays lost. */
export interface Link {
  /** `key` decides which node of a cluster does it. Rejects with a Refusal when Redis says no. */
  send(key: string | undefined, args: string[]): Promise<unknown>
  subscribe(channel: string, onMessage: OnMessage): Promise<void>
  unsubscribe(channel: string): Promise<void>
  destroy(): void
}

/** Resolves when the server answers. `turn` counts the tries: addresses are taken in turns. */
export type OpenLink = (turn: number, onLost: (error: unknown) => void) => Promise<Link>

export interface Openers {
  /** For commands. */
  readonly commands: OpenLink
  /** For pub/sub: any one node, which hears what is published at all. */
  readonly channels: OpenLink
}

const CONNECT_MS = 4500

type Common = Awaited<ReturnType<typeof commonOptions>>

/** Throws INVALID where the settings are not right. */
export async function openersOf(settings: BrokerSettings): Promise<Openers> {
  const common = await commonOptions(settings)
  if (settings.cluster === true && common.database !== 0)
    throw new RegentError('INVALID', `Redis Cluster has database 0 alone, not ${common.database}`, { hint: 'leave the database out' })
  const single: OpenLink = (turn, onLost) => openSingle(common, onLost, addressOf(settings, turn))
  return {
    commands: settings.cluster === true ? (turn, onLost) => openCluster(common, onLost, addressOf(settings, turn)) : single,
    channels: single,
  }
}

async function openSingle(common: Common, onLost: (error: unknown) => void, address: Address): Promise<Link> {
  const { tls, ...options } = common
  const socket = { ...address, ...plain, ...(tls && { ...tls, ...servername(address.host) }) }
  const client = createClient({ ...options, socket, RESP: 2, maintNotifications: 'disabled' })
  client.on('error', onLost).on('terminated', onLost)
  const link: Link = {
    send: (_, args) => client.sendCommand(args).catch(refuse),
    subscribe: (channel, onMessage) => client.subscribe(channel, onMessage).catch(refuse),
    unsubscribe: (channel) => client.unsubscribe(channel).catch(refuse),
    destroy: () => client.destroy(),
  }
  await inTime(
    link,
    client.connect().then(() => client.sendCommand(['PING'])),
  )
  return link
}

/** `place`: the node that is asked for the others; the next try asks another one, since this one may hang. */
async function openCluster(common: Common, onLost: (error: unknown) => void, place: Address): Promise<Link> {
  const { tls, database: _, ...options } = common
  const rootNodes = [{ ...options, socket: { ...place, ...plain, ...(tls && { ...tls, ...servername(place.host) }) } }]
  const defaults = { ...options, socket: { ...plain, ...tls }, maintNotifications: 'disabled' as const }
  const cluster = createCluster({ rootNodes, defaults, RESP: 2, minimizeConnections: true, commandOptions: { timeout: 0 } })
  // A lost node is a lost cluster: the next link learns its shape anew.
  let trouble: unknown
  cluster.on('error', (error) => (trouble = error))
  cluster.on('node-error', onLost).on('node-disconnect', () => onLost(new Error('the connection to a node ended')))
  const link: Link = {
    send: (key, args) => cluster.sendCommand(key, false, args).catch(refuse),
    subscribe: () => Promise.reject(new Error('channels have a link of their own')),
    unsubscribe: () => Promise.reject(new Error('channels have a link of their own')),
    destroy: () => cluster.destroy(),
  }
  const connected = cluster.connect().catch((error: unknown) => {
    throw trouble ?? error
  })
  await inTime(link, connected)
  return link
}

/** A server may take the connection and never answer. */
async function inTime(link: Link, connected: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${CONNECT_MS / 1000} s`)), CONNECT_MS)
  })
  try {
    await Promise.race([connected.catch(refuse), silence])
  } catch (error) {
    link.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

function refuse(error: unknown): never {
  throw error instanceof ErrorReply ? new Refusal(error.message) : error
}

const plain = { reconnectStrategy: false, connectTimeout: CONNECT_MS } as const

async function commonOptions(settings: BrokerSettings) {
  const { username, password, clientName, database = '0' } = settings
  if (!/^\d{1,5}$/.test(database))
    throw new RegentError('INVALID', `Redis' database is a number, not ${database}`, { hint: 'such as redis://host:6379/0' })
  return {
    database: Number(database),
    disableOfflineQueue: true,
    commandOptions: { timeout: 0 },
    name: (clientName ?? 'regent').replace(/[^!-~]/g, '-'),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    tls: settings.tls && (await tlsOptions(settings.tls)),
  }
}

async function tlsOptions({ ca, cert, key, verify, checkHostname }: TlsSettings) {
  return {
    tls: true as const,
    ...(ca !== undefined && { ca: await pem('ca', ca) }),
    ...(cert !== undefined && { cert: await pem('cert', cert) }),
    ...(key !== undefined && { key: await pem('key', key) }),
    rejectUnauthorized: verify !== false,
    ...(checkHostname === false && { checkServerIdentity: () => undefined }),
  }
}

async function pem(field: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new RegentError('INVALID', `tls.${field} of Redis cannot be read: ${reasonOf(error)}`, {
      hint: 'name a PEM file that Regent may read',
    })
  }
}

interface Address {
  readonly host: string
  readonly port: number
}

const servername = (host: string) => (isIP(host) === 0 ? { servername: host } : {})

function addressOf({ addresses }: BrokerSettings, turn: number): Address {
  return parseAddress(addresses[turn % Math.max(1, addresses.length)] ?? 'localhost:6379')
}

function parseAddress(address: string): Address {
  const [host = 'localhost', port = '6379'] = address.split(/:(?=\d+$)/)
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) }
}
