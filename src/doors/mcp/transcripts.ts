import { type McpServer, ResourceTemplate } from '@modelcontextprotocol/server'
import type { ToolHost } from './tool-host.ts'

const MOST_CHARACTERS = 1_000_000
const LISTED = 200

export const transcriptUri = (id: string): string => `worker://${id}/transcript`

/** What each worker says and does, as a resource that can be watched. */
export function registerTranscripts(server: McpServer, host: ToolHost): void {
  const template = new ResourceTemplate('worker://{id}/transcript', {
    list: async ({ mcpReq }) => {
      const { workers } = await host.call('workers.list', { namespace: host.namespace, limit: LISTED }, { signal: mcpReq.signal })
      return {
        resources: workers.map(({ id, agent, label, prompt, state }) => ({
          uri: transcriptUri(id),
          name: label ?? prompt.slice(0, 60),
          description: `${agent}, ${state}`,
          mimeType: 'text/plain',
        })),
      }
    },
  })
  const about = { title: 'Transcript of a worker', description: 'What it was asked, said and did in its last turn', mimeType: 'text/plain' }
  server.registerResource('worker transcript', template, about, async (uri, { id }, { mcpReq }) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: await transcript(host, String(id), mcpReq.signal) }],
  }))
}

async function transcript(host: ToolHost, id: string, signal: AbortSignal): Promise<string> {
  const view = await host.call('workers.get', { worker: id }, { signal })
  const lines = [`> ${view.prompt}`]
  let size = 0
  for await (const item of host.open('workers.follow', { worker: view.id, follow: false }, signal)) {
    const line = lineOf(item.kind, item.text)
    if (line === undefined) continue
    size += line.length
    if (size > MOST_CHARACTERS) {
      lines.push('… (shortened: read the rest with get_worker_output)')
      break
    }
    lines.push(line)
  }
  lines.push(`[${view.state}] ${view.failure ?? view.reason}`)
  return `${lines.join('\n')}\n`
}

function lineOf(kind: string, text: string): string | undefined {
  if (kind === 'usage' || kind === 'session') return undefined
  return kind === 'text' || kind === 'raw' ? text : `[${kind}] ${text}`
}
