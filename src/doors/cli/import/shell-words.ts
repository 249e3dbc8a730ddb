import { RegentError } from '../../../kernel/errors.ts'

/** Splits as a POSIX shell does, with quotes and backslashes and nothing else. Throws INVALID for a quote that is not closed. */
export function shellWords(text: string, place: string): string[] {
  const words: string[] = []
  let word: string | undefined
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    const next = text[at + 1]
    if (quote !== '') {
      if (char === quote) quote = ''
      else if (char === '\\' && quote === '"' && (next === '"' || next === '\\')) word += text[++at] ?? ''
      else word += char
    } else if (char === '"' || char === "'") {
      quote = char
      word ??= ''
    } else if (char === '\\') word = (word ?? '') + (text[++at] ?? '')
    else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else word = (word ?? '') + char
  }
  if (quote !== '') throw new RegentError('INVALID', `${place}: a ${quote} is not closed`)
  if (word !== undefined) words.push(word)
  return words
}

/** `KEY="value",KEY2='other',KEY3=plain`, as supervisord's `environment`. Throws INVALID for anything else. */
export function keyValuePairs(text: string, place: string): Record<string, string> {
  const pairs: [string, string][] = []
  const pattern = /\s*([^\s=,]+)\s*=\s*("[^"]*"|'[^']*'|[^,\n"']*)\s*(,|\n|$)/gy
  while (text.slice(pattern.lastIndex).trim() !== '') {
    const from = pattern.lastIndex
    const found = pattern.exec(text)
    if (!found) throw new RegentError('INVALID', `${place}: '${text.slice(from, from + 40).trim()}' is not of the form KEY="value"`)
    const [, key = '', value = ''] = found
    pairs.push([key, value.trim().replaceAll(/^['"]+|['"]+$/g, '')])
  }
  return Object.fromEntries(pairs)
}
