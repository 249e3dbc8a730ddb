import { stripVTControlCharacters } from 'node:util'

/** Texts as people read them. Everything that an agent or a model wrote passes `clean` before it reaches a terminal. */

/** 93784000 → `1d2h`: the two largest units. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000))
  const parts: [number, string][] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([value]) => value > 0)
  if (first === -1) return '0s'
  return parts
    .slice(first, first + 2)
    .filter(([value]) => value > 0)
    .map(([value, unit]) => `${value}${unit}`)
    .join('')
}

/** `14:03:21`, with the date where it is not today. */
export function timeOf(at: number, now = Date.now()): string {
  const date = new Date(at)
  const time = date.toTimeString().slice(0, 8)
  return date.toDateString() === new Date(now).toDateString() ? time : `${dayOf(date)} ${time}`
}

const dayOf = (date: Date): string =>
  `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, '0')}-${String(date.getDate()).padStart(2, '0')}`

export function money(usd: number | null): string {
  if (usd === null) return '?'
  if (usd === 0) return '-'
  return usd < 0.01 ? '<$0.01' : `$${usd.toFixed(2)}`
}

/** 1536 → `1.5KiB`: three digits at most. */
export function size(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  const value = bytes / 1024 ** power
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)}${units[power]}`
}
const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

/** On one line and without control characters, so that no text moves the cursor or hides what stands before it. */
export const clean = (text: string): string => text.replaceAll(/[\s\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, ' ').trim()

const colourCode = new RegExp(`(${String.fromCharCode(27)}\\[[0-9;]*m)`)

/** Lines and tabs stay, colours of programs stay, every other control character or sequence goes. */
export function cleanLines(text: string): string {
  return text
    .split(colourCode)
    .map((part, index) =>
      index % 2 === 1 ? part : stripVTControlCharacters(part).replaceAll(/(?![\t\n])\p{Cc}|[\u202a-\u202e\u2066-\u2069]/gu, ''),
    )
    .join('')
}

const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u
const zero = /\p{Mark}|\u200d|[\ufe00-\ufe0f]/u

/** Columns that a cleaned text takes on a terminal. */
export function columnsOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let columns = 0
  for (const character of text) columns += zero.test(character) ? 0 : wide.test(character) ? 2 : 1
  return columns
}

/** Cut to so many columns, with `…` where something was cut. */
export function cut(text: string, columns: number): string {
  if (columnsOf(text) <= columns) return text
  let kept = ''
  let used = 0
  for (const character of text) {
    const more = columnsOf(character)
    if (used + more > columns - 1) break
    kept += character
    used += more
  }
  return columns > 0 ? `${kept}…` : ''
}

export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : noun.endsWith('s') ? 'es' : 's'}`
