import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { ToolCallOptions, ToolResult, ToolServer } from '../../../ports/tool-server.ts'
import { PrivateAddress } from './addresses.ts'
import { type FetchArguments, fetchTool, parseArguments, parseCommandLine } from './arguments.ts'
import { simplified } from './content.ts'
import { CannotFetch, download, type Page } from './download.ts'
import { checkRobots } from './robots.ts'

export interface FetchOptions {
  readonly version: string
  /** Hosts, with a port or without, that may be at private addresses. */
  readonly allowHosts: readonly string[]
  readonly timeoutMs?: number
}

const largestPage = 5 * 1024 * 1024
const longestMs = 30_000

/** The tool of `mcp-server-fetch`, built in. Throws UNAVAILABLE for an option that only the original has. */
export function createFetchServer(id: string, args: readonly string[], options: FetchOptions): ToolServer {
  const { ignoreRobots, userAgent = agentOf(options.version), unsupported } = parseCommandLine(args)
  if (unsupported !== undefined)
    throw new RegentError('UNAVAILABLE', `the built-in fetch has no option ${unsupported.slice(0, 100)}`, {
      hint: 'Install uv (https://docs.astral.sh/uv/) to run mcp-server-fetch itself, or take the option out of `args`.',
    })
  const closing = new AbortController()
  return {
    id,
    notice: 'built-in fetch stands in for `uvx mcp-server-fetch` (uvx is not installed)',
    closed: new Promise(() => {}),
    tools: async () => [fetchTool],
    async call(tool, given, call) {
      if (tool !== fetchTool.name) return failed(`Unknown tool: ${tool}`)
      const parsed = parseArguments(given)
      if (typeof parsed === 'string') return failed(parsed)
      return await fetchPage(parsed, call, { ...options, ignoreRobots, userAgent, closing: closing.signal })
    },
    async close() {
      closing.abort(new RegentError('UNAVAILABLE', `the tool server ${id} was closed`))
    },
  }
}

const agentOf = (version: string): string => `Regent/${version} (Autonomous)`
const failed = (text: string): ToolResult => ({ isError: true, content: [{ type: 'text', text }] })

interface Circumstances extends FetchOptions {
  readonly ignoreRobots: boolean
  readonly userAgent: string
  readonly closing: AbortSignal
}

async function fetchPage(args: FetchArguments, call: ToolCallOptions, around: Circumstances): Promise<ToolResult> {
  const ms = Math.min(call.timeoutMs ?? longestMs, around.timeoutMs ?? longestMs, longestMs)
  const timeout = AbortSignal.timeout(ms)
  const signal = AbortSignal.any([call.signal, around.closing, timeout])
  const options = { userAgent: around.userAgent, signal, trusts: trustOf(args.url, call.approved, around.allowHosts) }
  try {
    if (!around.ignoreRobots) await checkRobots(args.url, options)
    return await answer(args, await download(args.url, { ...options, largest: largestPage }), signal)
  } catch (error) {
    call.signal.throwIfAborted()
    around.closing.throwIfAborted()
    if (timeout.aborted) throw new RegentError('TIMED_OUT', `fetching ${args.url.host} took longer than ${ms / 1000} s`)
    return failed(wordsOf(error, args.url))
  }
}

/** The URL a person agreed to, with the robots.txt of its host; or a host that the configuration names. A redirect is neither. */
function trustOf(asked: URL, approved: boolean, allowHosts: readonly string[]): (url: URL) => boolean {
  const allowed = new Set(allowHosts.map((host) => host.toLowerCase()))
  const robots = new URL('/robots.txt', asked).href
  return (url) => (approved && (url.href === asked.href || url.href === robots)) || allowed.has(url.hostname) || allowed.has(url.host)
}

async function answer(args: FetchArguments, page: Page, signal: AbortSignal): Promise<ToolResult> {
  const { url, raw } = args
  if (page.status >= 400) return failed(`Failed to fetch ${url} - status code ${page.status}`)
  const content = await simplified(page, raw, signal)
  if (content === undefined) return failed(`${url} is of type ${page.contentType}, which cannot be shown as text`)
  const whole = page.cut ? `${content.text}\n\n<error>The page is longer than 5 MiB; the rest was not read.</error>` : content.text
  return { isError: false, content: [{ type: 'text', text: `${content.prefix}Contents of ${url}:\n${part(whole, args)}` }] }
}

/** The wanted part, with word of where the next one begins. */
function part(text: string, { startIndex, maxLength }: FetchArguments): string {
  if (startIndex >= text.length) return '<error>No more content available.</error>'
  const cut = Math.min(text.length, startIndex + maxLength)
  const high = text.charCodeAt(cut - 1)
  // Not between the halves of a surrogate pair, unless a single half is all that was asked for.
  const end = cut < text.length && cut - 1 > startIndex && high >= 0xd800 && high <= 0xdbff ? cut - 1 : cut
  const shown = text.slice(startIndex, end).toWellFormed()
  if (end === text.length) return shown
  return `${shown}\n\n<error>Content truncated. Call the fetch tool with a start_index of ${end} to get more content.</error>`
}

function wordsOf(error: unknown, url: URL): string {
  const refused = [error, (error as { cause?: unknown }).cause].find((one) => one instanceof PrivateAddress)
  if (refused instanceof PrivateAddress)
    return `Refused to fetch ${url}: it leads to ${refused.message}, an address of this machine or a private network. A person can allow it: by approving the call (seek_confirm), or by naming the host in REGENT_TOOLS_ALLOW_HOSTS.`
  if (error instanceof CannotFetch) return error.message
  return `Failed to fetch ${url}: ${reasonOf(error)}`
}
