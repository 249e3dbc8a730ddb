import { RegentError } from '../../../kernel/errors.ts'
import type { CommandAgent } from './findings.ts'

/** What the values of the files' keys mean. Each throws INVALID whose message `place` opens. */

export type StopSignal = NonNullable<NonNullable<CommandAgent['policy']>['stop_signal']>
const signals: readonly StopSignal[] = ['TERM', 'INT', 'HUP', 'QUIT', 'KILL', 'USR1', 'USR2']
const numbers: Readonly<Record<number, StopSignal>> = { 1: 'HUP', 2: 'INT', 3: 'QUIT', 9: 'KILL', 10: 'USR1', 12: 'USR2', 15: 'TERM' }

export function signalOf(value: string | number, place: string): StopSignal {
  const name = String(value).trim().toUpperCase().replace(/^SIG/, '')
  const signal = /^\d+$/.test(name) ? numbers[Number(name)] : signals.find((one) => one === name)
  if (signal === undefined) throw wrong(place, value, `a signal: ${signals.join(', ')}`)
  return signal
}

export function booleanOf(value: string, place: string): boolean {
  const word = value.trim().toLowerCase()
  if (['true', 'yes', 'on', '1'].includes(word)) return true
  if (['false', 'no', 'off', '0'].includes(word)) return false
  throw wrong(place, value, 'true or false')
}

export function countOf(value: unknown, place: string, least = 0): number {
  const number = typeof value === 'number' ? value : Number(String(value).trim() || 'none')
  if (!Number.isInteger(number) || number < least) throw wrong(place, value, `a whole number of ${least} or more`)
  return number
}

export function numberOf(value: unknown, place: string): number {
  const number = typeof value === 'number' ? value : Number(String(value).trim() || 'none')
  if (!Number.isFinite(number) || number < 0) throw wrong(place, value, 'a number')
  return number
}

export function textOf(value: unknown, place: string): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw wrong(place, value, 'a text')
}

const durations: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** `1500`, `1500ms`, `2s`, `1m`; in seconds. */
export function secondsOf(value: unknown, place: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(String(value).trim()) ?? []
  const factor = durations[unit]
  if (amount === undefined || factor === undefined) throw wrong(place, value, 'a duration such as 1500 (ms) or 2s')
  return (Number(amount) * factor) / 1000
}

const sizes: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 }

/** `200M`, or bytes. */
export function bytesOf(value: unknown, place: string): number {
  const [, amount, unit = ''] = /^(\d+(?:\.\d+)?)\s*([KMG]?)i?B?$/i.exec(String(value).trim()) ?? []
  const factor = sizes[unit.toUpperCase()]
  if (amount === undefined || factor === undefined) throw wrong(place, value, 'a size such as 200M')
  return Math.round(Number(amount) * factor)
}

/** The nearest value that Regent takes. */
export const within = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

export const wrong = (place: string, value: unknown, wanted: string): RegentError =>
  new RegentError('INVALID', `${place}: ${JSON.stringify(value)} is not ${wanted}`)
