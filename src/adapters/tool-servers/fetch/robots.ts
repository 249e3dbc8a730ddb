import { reasonOf } from '../../../kernel/errors.ts'
import { CannotFetch, type DownloadOptions, download } from './download.ts'

const largest = 512 * 1024

/** Throws where the site's robots.txt does not let this program fetch the page by itself, or cannot be asked. */
export async function checkRobots(url: URL, options: Omit<DownloadOptions, 'largest'>): Promise<void> {
  const place = new URL('/robots.txt', url)
  const page = await download(place, { ...options, largest }).catch((error) => {
    options.signal.throwIfAborted()
    throw new CannotFetch(`Failed to fetch robots.txt ${place} due to a connection issue: ${reasonOf(error)}`, { cause: error })
  })
  if (page.status === 401 || page.status === 403)
    throw new CannotFetch(
      `When fetching robots.txt (${place}), received status ${page.status} so assuming that autonomous fetching is not allowed`,
    )
  if (page.status >= 400) return
  const { default: robotsParser } = await import('robots-parser')
  const parse = robotsParser as unknown as (url: string, text: string) => { isAllowed(url: string, agent: string): boolean | undefined }
  if (parse(place.href, page.body.toString('utf8')).isAllowed(url.href, options.userAgent) !== false) return
  throw new CannotFetch(
    `The site's robots.txt (${place}) specifies that autonomous fetching of this page is not allowed for ${options.userAgent}. Tell the user that the page could not be viewed.`,
  )
}
