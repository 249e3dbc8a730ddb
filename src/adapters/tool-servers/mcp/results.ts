import { StringDecoder } from 'node:string_decoder'
import type { CallToolResult, Tool as McpTool } from '@modelcontextprotocol/client'
import { isObject, type JsonObject } from '../../../kernel/json.ts'
import type { Tool, ToolContent, ToolResult } from '../../../ports/tool-server.ts'

const largestResult = 5 * 1024 * 1024
const longestDescription = 8_000
const mostTools = 1_000

/** What a server says of its tools, within bounds; of two with one name the first counts. */
export function toolsOf(listed: readonly McpTool[]): Tool[] {
  const tools = new Map<string, Tool>()
  for (const { name, description, title, inputSchema, annotations } of listed) {
    if (tools.has(name) || tools.size >= mostTools) continue
    const { readOnlyHint, destructiveHint } = annotations ?? {}
    tools.set(name, {
      name,
      description: (description ?? title ?? annotations?.title ?? '').slice(0, longestDescription).toWellFormed(),
      inputSchema: isObject(inputSchema) ? (inputSchema as JsonObject) : { type: 'object' },
      hints: {
        ...(readOnlyHint !== undefined && { readOnly: readOnlyHint }),
        ...(destructiveHint !== undefined && { destructive: destructiveHint }),
      },
    })
  }
  return [...tools.values()]
}

/** The result as data, cut to what can be kept; a note says what was left out. */
export function resultOf({ content = [], structuredContent, isError }: CallToolResult): ToolResult {
  const mapped = content.map(contentOf)
  const hasText = mapped.some(({ type }) => type === 'text')
  if (structuredContent !== undefined && !hasText) mapped.push({ type: 'text', text: JSON.stringify(structuredContent) })
  return { isError: isError === true, content: bounded(mapped) }
}

export const errorResult = (text: string): ToolResult => ({ isError: true, content: [{ type: 'text', text }] })

function contentOf(block: CallToolResult['content'][number]): ToolContent {
  if (block.type === 'text') return { type: 'text', text: block.text }
  if (block.type === 'image' || block.type === 'audio') return { type: block.type, data: block.data, mimeType: block.mimeType }
  if (block.type === 'resource_link')
    return { type: 'resource', uri: block.uri, text: block.description ?? block.title ?? block.name, ...mime(block) }
  const { resource } = block
  return { type: 'resource', uri: resource.uri, ...('text' in resource && { text: resource.text }), ...mime(resource) }
}

const mime = ({ mimeType }: { mimeType?: string | undefined }) => (mimeType === undefined ? {} : { mimeType })

function bounded(content: readonly ToolContent[]): ToolContent[] {
  let room = largestResult
  let left = 0
  const kept: ToolContent[] = []
  for (const one of content) {
    const size = Buffer.byteLength('data' in one ? one.data : (one.text ?? ''))
    if (room === 0) left++
    else if (size <= room) {
      kept.push(one)
      room -= size
    } else {
      kept.push('data' in one ? leftOut(one.type, size) : { ...one, text: head(one.text ?? '', size, room) })
      if (!('data' in one)) room = 0
    }
  }
  if (left > 0) kept.push({ type: 'text', text: `[${left} more parts left out: a result may hold 5 MiB]` })
  return kept
}

const leftOut = (type: string, size: number): ToolContent => ({
  type: 'text',
  text: `[${type} of ${size} bytes left out: a result may hold 5 MiB]`,
})

/** Never ends inside a character. */
function head(text: string, size: number, room: number): string {
  const shown = new StringDecoder('utf8').write(Buffer.from(text).subarray(0, room))
  return `${shown}\n[truncated: the first ${room} of ${size} bytes are shown]`
}
