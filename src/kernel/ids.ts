import { randomBytes, randomUUID } from 'node:crypto'

/** Makes the ids of everything that lasts: UUIDs. Injected, so that a test can say which. */
export interface Ids {
  next(): string
  /** Of version 4: its beginning tells it apart, so that people can be shown that alone. */
  random(): string
}

/** UUIDs of version 7 (RFC 9562): ms since the epoch, then 74 random bits, so that what is made together lies together in an index. */
export const randomIds: Ids = {
  next() {
    const time = Date.now().toString(16).padStart(12, '0')
    return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`
  },
  random: () => randomUUID(),
}

/** 256 bits for a token, as 43 URL-safe characters. */
export const newSecret = (): string => randomBytes(32).toString('base64url')

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const isUuid = (text: string): boolean => uuid.test(text)
