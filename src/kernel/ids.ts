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

/**
 * A UUID of version 8 (RFC 9562) out of a hash of 32 hex digits or more: the same for the same hash. Some places fix the digit of
 * the variant; ids that were made so are on record, so that each place keeps its own.
 */
export function hashedUuid(hex: string, variant = ((Number.parseInt(hex.slice(16, 17), 16) & 0x3) | 0x8).toString(16)): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
