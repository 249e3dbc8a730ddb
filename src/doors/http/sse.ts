import { isObject } from '../../kernel/json.ts'

/**
 * Server-sent events. `data` is always one item of the operation, as NDJSON would have it. Items of the journal carry their number
 * as `id` (what a browser sends back as Last-Event-ID) and their type as `event`; `delta` has no id, since it is not kept; `resync`
 * carries the newest number, since whoever reads the state anew has seen all up to it. Other streams are plain `message` events.
 */
export function sseItem(item: object): string {
  const { kind, event, newest } = item as { kind?: unknown; event?: unknown; newest?: unknown }
  const data = JSON.stringify(item)
  if (kind === 'event' && isObject(event)) return sseEvent(String(event.type), data, String(event.number))
  if (kind === 'resync') return sseEvent('resync', data, String(newest))
  if (kind === 'delta') return sseEvent('delta', data)
  return `data: ${data}\n\n`
}

/** `data` must be one line. */
export function sseEvent(type: string, data: string, id?: string): string {
  return `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${data}\n\n`
}

/** Seen by no listener; keeps the way open, and tells a proxy and us that the other end is there. */
export const sseComment = (text: string): string => `: ${text}\n\n`

/** How soon a browser shall come back, in ms. */
export const sseRetry = 'retry: 1000\n\n'
