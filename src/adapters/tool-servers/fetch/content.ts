import type { Page } from './download.ts'
import { markdownOf } from './markdown.ts'

/** A page as text for a model. */
export interface Simplified {
  /** What a reader must know before the text; empty for a page in Markdown. */
  readonly prefix: string
  readonly text: string
}

const textual =
  /^(text\/|application\/([\w.-]+\+)?(json|xml|javascript|ecmascript|x-ndjson|yaml|toml|graphql|sql|rtf|x-www-form-urlencoded))/
// Past this a page is no reading matter.
const largestHtml = 2 * 1024 * 1024

/** Markdown of an HTML page, or any text as it is; undefined for what is no text. */
export async function simplified(page: Page, raw: boolean, signal: AbortSignal): Promise<Simplified | undefined> {
  const type = (page.contentType.split(';')[0] ?? '').trim().toLowerCase()
  if (type !== '' && !textual.test(type) && type !== 'application/xhtml+xml') return undefined
  const text = textOf(page)
  if (type === '' && text.includes('\0')) return undefined
  const html = text.slice(0, 100).toLowerCase().includes('<html') || type === 'text/html' || type === 'application/xhtml+xml' || type === ''
  if (html && !raw) return { prefix: '', text: await readable(text, signal) }
  return { prefix: `Content type ${page.contentType} cannot be simplified to markdown, but here is the raw content:\n`, text }
}

/** By the charset of the header, else of the page, else UTF-8. */
function textOf({ contentType, body }: Page): string {
  const named = /charset=["']?([\w.:-]+)/i
  const label = named.exec(contentType)?.[1] ?? named.exec(body.subarray(0, 1024).toString('latin1'))?.[1] ?? 'utf-8'
  return decoderOf(label).decode(body)
}

function decoderOf(label: string) {
  try {
    return new TextDecoder(label)
  } catch {
    return new TextDecoder()
  }
}

async function readable(html: string, signal: AbortSignal): Promise<string> {
  const text = await markdownOf(html.slice(0, largestHtml), signal)
  if (text === undefined || text === '') return '<error>Page failed to be simplified from HTML</error>'
  return html.length > largestHtml ? `${text}\n\n<error>Only the first part of this very long page was read.</error>` : text
}
