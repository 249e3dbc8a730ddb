import type { McpServer } from '@modelcontextprotocol/server'
import type { EventType } from '../../contract/events.ts'
import type { ToolHost } from './tool-host.ts'
import { transcriptUri } from './transcripts.ts'

/** After which a transcript reads otherwise. */
export const transcriptEvents: readonly EventType[] = [
  'worker.queued',
  'worker.started',
  'worker.said',
  'worker.tool_called',
  'worker.limited',
  'worker.completed',
  'worker.failed',
  'worker.cancelled',
]

/** Tells a client of one connection when a transcript that it subscribed to has changed. */
export function watchTranscripts(server: McpServer, host: ToolHost, over: AbortSignal): void {
  const wanted = new Set<string>()
  let following = false
  const follow = async (): Promise<void> => {
    for await (const item of host.open('events.stream', { types: [...transcriptEvents] }, over))
      if (item.kind === 'event' && item.event.agent_id !== null && wanted.has(transcriptUri(item.event.agent_id)))
        await server.server.sendResourceUpdated({ uri: transcriptUri(item.event.agent_id) })
  }
  server.server.setRequestHandler('resources/subscribe', async ({ params }) => {
    wanted.add(params.uri)
    if (!following) {
      following = true
      void follow()
        .catch(() => undefined)
        .finally(() => {
          following = false
        })
    }
    return {}
  })
  server.server.setRequestHandler('resources/unsubscribe', async ({ params }) => {
    wanted.delete(params.uri)
    return {}
  })
}
