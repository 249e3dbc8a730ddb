import type { EventView } from '../../contract/events.ts'
import type { Colour, Terminal } from './output/terminal.ts'
import { clean, cut, timeOf } from './output/text.ts'

const colours: Partial<Record<EventView['type'], Colour>> = {
  'run.running': 'green',
  'run.exited': 'yellow',
  'run.backoff': 'yellow',
  'run.fatal': 'red',
  'message.dead': 'red',
  'approval.requested': 'yellow',
  'agent.condition_raised': 'yellow',
}

/** `12  14:03:21  run.running  alice/news  pid=4242`, on one line of a terminal. */
export function eventText(event: EventView, terminal: Pick<Terminal, 'paint' | 'width'>): string {
  const head = `${event.number}  ${timeOf(event.at)}  `
  const who = event.agent === null ? '' : `  ${event.agent}`
  const by = event.actor === 'regent' || event.actor === 'agent' ? '' : `  by ${event.actor}`
  const room = terminal.width - head.length - event.type.length - who.length - by.length - 2
  const details = cut(clean(detailsOf(event.data)), Math.max(20, Math.min(room, 2000)))
  const colour = colours[event.type]
  const type = colour === undefined ? event.type : terminal.paint(colour, event.type)
  return `${terminal.paint('dim', head)}${type}${who}${terminal.paint('dim', by)}${details === '' ? '' : `  ${details}`}`
}

function detailsOf(data: Readonly<Record<string, unknown>>): string {
  return Object.entries(data)
    .filter(([, value]) => value !== null && value !== '' && JSON.stringify(value) !== '{}')
    .map(([name, value]) => `${name}=${typeof value === 'string' && !value.includes(' ') ? value : JSON.stringify(value)}`)
    .join(' ')
}
