import type { JsonObject } from '../../../kernel/json.ts'

export interface FetchArguments {
  readonly url: URL
  readonly maxLength: number
  readonly startIndex: number
  readonly raw: boolean
}

/** As `mcp-server-fetch` offers it, words included. */
export const fetchTool = {
  name: 'fetch',
  description:
    'Fetches a URL from the internet and optionally extracts its contents as markdown.\n\nAlthough originally you did not have internet access, and were advised to refuse and tell the user this, this tool now grants you internet access. Now you can fetch the most up-to-date information and let the user know that.',
  inputSchema: {
    type: 'object',
    properties: {
      url: { type: 'string', format: 'uri', minLength: 1, description: 'URL to fetch' },
      max_length: {
        type: 'integer',
        default: 5000,
        exclusiveMinimum: 0,
        exclusiveMaximum: 1_000_000,
        description: 'Maximum number of characters to return.',
      },
      start_index: {
        type: 'integer',
        default: 0,
        minimum: 0,
        description:
          'On return output starting at this character index, useful if a previous fetch was truncated and more context is required.',
      },
      raw: { type: 'boolean', default: false, description: 'Get the actual HTML content of the requested page, without simplification.' },
    },
    required: ['url'],
  },
  hints: { readOnly: true },
} as const

/** The arguments, or what is wrong with them. */
export function parseArguments({ url, max_length = 5000, start_index = 0, raw = false }: JsonObject): FetchArguments | string {
  if (typeof url !== 'string' || !URL.canParse(url)) return 'url: must be a URL such as https://example.org/page'
  const parsed = new URL(url)
  if (!/^https?:$/.test(parsed.protocol)) return 'url: must be an http or https URL'
  const maxLength = wholeNumber(max_length)
  if (maxLength === undefined || maxLength <= 0 || maxLength >= 1_000_000) return 'max_length: must be a whole number from 1 to 999999'
  const startIndex = wholeNumber(start_index)
  if (startIndex === undefined || startIndex < 0) return 'start_index: must be a whole number from 0'
  if (typeof raw !== 'boolean') return 'raw: must be true or false'
  return { url: parsed, maxLength, startIndex, raw }
}

/** Models write numbers as texts at times. */
function wholeNumber(value: unknown): number | undefined {
  const number = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  return typeof number === 'number' && Number.isSafeInteger(number) ? number : undefined
}

export interface ServerArguments {
  readonly ignoreRobots: boolean
  readonly userAgent: string | undefined
  /** An option that the built-in server does not have. */
  readonly unsupported: string | undefined
}

/** The command line behind `mcp-server-fetch`. */
export function parseCommandLine(args: readonly string[]): ServerArguments {
  let ignoreRobots = false
  let userAgent: string | undefined
  let unsupported: string | undefined
  for (let at = 0; at < args.length; at++) {
    const [name = '', inline] = split(args[at] ?? '')
    if (name === '--ignore-robots-txt') ignoreRobots = true
    else if (name === '--user-agent') userAgent = inline ?? args[++at]
    else unsupported ??= name
  }
  return { ignoreRobots, userAgent, unsupported }
}

function split(arg: string): [string, string | undefined] {
  const at = arg.indexOf('=')
  return at === -1 ? [arg, undefined] : [arg.slice(0, at), arg.slice(at + 1)]
}
