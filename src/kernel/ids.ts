import { randomBytes, randomUUID } from 'node:crypto'

/** Makes the ids of everything that lasts: UUIDs. Injected, so that a test can say which. */
export interface Ids {
  next(): string
}

export const randomIds: Ids = { next: () => randomUUID() }

/** 256 bits for a token, as 43 URL-safe characters. */
export const newSecret = (): string => randomBytes(32).toString('base64url')

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
export const isUuid = (text: string): boolean => uuid.test(text)
