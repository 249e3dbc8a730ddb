import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { isObject, tryParse } from '../../kernel/json.ts'
import { readPrivate, writePrivate } from './private-files.ts'

/** Where the running Regent of a home is reached; clients look it up there. */
export interface Address {
  readonly url: string
  readonly pid: number
  /** Epoch ms. */
  readonly startedAt: number
}

const fileOf = (dir: string): string => join(dir, 'server.json')

export function readAddress(dir: string): Address | undefined {
  const value = tryParse(readPrivate(fileOf(dir))?.toString('utf8') ?? '')
  if (!isObject(value) || typeof value.url !== 'string' || typeof value.pid !== 'number') return undefined
  return { url: value.url, pid: value.pid, startedAt: Number(value.startedAt ?? 0) }
}

export function writeAddress(dir: string, address: Address): void {
  writePrivate(fileOf(dir), `${JSON.stringify(address)}\n`)
}

export function removeAddress(dir: string): void {
  rmSync(fileOf(dir), { force: true })
}
