import type { EventType } from '../../contract/events.ts'
import type { Json } from '../../kernel/json.ts'
import type { EventRow, LifeRow } from '../../ports/store.ts'

type Told = Pick<EventRow, 'actor' | 'data'>
type Words = (event: Told) => string

/** What happened, in words for people. An event without words does not compile. Data may be missing: older events have less. */
const words: Readonly<Record<EventType, Words>> = {
  'agent.created': (event) => (event.data.recovered === true ? 'made anew from what was left of its runs' : `created${by(event)}`),
  'agent.updated': (event) => `changed${by(event)}${after(' to revision ', event.data.revision)}`,
  'agent.deleted': () => 'deleted',
  'agent.start_requested': (event) => `to be started${asked(event)}`,
  'agent.stop_requested': (event) => `to be ${event.data.deleting === true ? 'deleted' : 'stopped'}${asked(event)}`,
  'agent.restart_requested': (event) => `to be restarted${asked(event)}`,
  'agent.start_held': ({ data }) => `not started yet${after(': ', data.reason)}`,
  'agent.activity_changed': ({ data }) => `is ${text(data.activity) || 'doing something else'}`,
  'agent.condition_raised': ({ data }) => `something is missing: ${subjectOf(data)}${after(': ', data.message)}`,
  'agent.condition_cleared': ({ data }) => `no longer missing: ${subjectOf(data)}`,
  'agent.health_changed': ({ data }) => `is ${text(data.health) || 'in another health'}${after(': ', data.message)}`,
  'agent.ready_changed': ({ data }) => `is ${data.ready === false ? 'not ready' : 'ready'}${after(': ', data.message)}`,
  'agent.stalled': ({ data }) =>
    data.cleared === true
      ? 'works again'
      : `lives and does nothing${after(': ', data.message)}${after('; step ', data.step)}${after(', but ', data.kept)}`,
  'agent.schedule_fired': ({ data }) =>
    `its schedule${data.missed === true ? ' was missed' : ' came'}${after(' (', data.cron, ')')}${after(': ', data.done)}`,
  'agent.signalled': (event) => `sent ${signalName(event.data.signal)}${by(event)}`,
  'agent.logs_cleared': (event) => `its output was forgotten${by(event)}`,
  'run.starting': ({ data }) => `launched${after(': ', data.reason)}`,
  'run.running': ({ data }) => `up${after(': ', data.reason)}${after(', pid ', data.pid)}`,
  'run.stopping': ({ data }) => `told to end${after(': ', data.reason)}`,
  'run.stopped': ({ data }) => `${text(data.reason) || 'stopped'}${lived(data)}${oom(data)}${survivors(data)}`,
  'run.exited': ({ data }) => `ended by ${data.unfit === true ? 'Regent' : 'itself'}${after(': ', data.reason)}${lived(data)}${oom(data)}`,
  'run.backoff': ({ data }) => `${text(data.reason) || 'died; restarted soon'}${lived(data)}${oom(data)}`,
  'run.fatal': ({ data }) => `given up${after(': ', data.reason)}${oom(data)}`,
  'run.unknown': ({ data }) => `cannot be seen${after(': ', data.reason)}`,
  'run.adopted': ({ data }) => `taken up again after a restart of Regent${after(', pid ', data.pid)}`,
  'message.queued': (event) => `a message was accepted${by(event)}`,
  'message.delivered': () => 'a message reached it',
  'message.acknowledged': () => 'it has dealt with a message',
  'message.dead': ({ data }) => `a message was given up${after(': ', data.reason)}`,
  'message.requeued': (event) => `a message that was given up is to be tried again${by(event)}`,
  'message.dropped': (event) => `a message that was given up was dropped${by(event)}`,
  'message.sent': () => 'it said something',
  'approval.requested': ({ data }) => `asks for a yes${after(' to ', data.tool)}`,
  'approval.answered': (event) => `a question was answered${by(event)}`,
  'usage.recorded': () => 'it used a model',
  'worker.queued': (event) => `${event.data.turn === 1 ? 'given a task' : 'given another turn'}${by(event)}`,
  'worker.started': ({ data }) => `its CLI was started${after(', pid ', data.pid)}`,
  'worker.adopted': ({ data }) => `taken up again after a restart of Regent${after(', pid ', data.pid)}`,
  'worker.session': ({ data }) => `its session is ${text(data.session_id) || 'known'}`,
  'worker.said': ({ data }) => `said${after(': ', data.text)}`,
  'worker.tool_called': ({ data }) => `uses ${text(data.tool) || 'a tool'}`,
  'worker.usage': () => 'it used a model',
  'worker.limited': ({ data }) => `its provider’s limit is reached${after(': ', data.reason)}`,
  'worker.cancel_requested': (event) => `to be cancelled${by(event)}`,
  'worker.completed': () => 'has done its task',
  'worker.failed': ({ data }) => `failed${after(': ', data.reason)}`,
  'worker.cancelled': ({ data }) => `cancelled${after(': ', data.reason)}`,
  'worker.claimed': (event) => `its end was told${event.actor === 'regent' ? '' : ` to ${event.actor}`}`,
  'worker.deleted': (event) => `forgotten${by(event)}`,
  'race.started': (event) => `a race was begun${by(event)}`,
  'race.judged': ({ data }) => `an attempt was judged${after(': ', data.verdict)}`,
  'race.decided': ({ data }) => `a race was decided${after(': ', data.reason)}`,
  'race.failed': ({ data }) => `a race has no winner${after(': ', data.reason)}`,
  'race.cancelled': (event) => `a race was cancelled${by(event)}`,
  'command.refused': ({ data }) => `a command was refused${after(': ', data.command)}${after(': ', data.reason)}`,
  'token.created': (event) => `a token was made${by(event)}`,
  'token.revoked': (event) => `a token was revoked${by(event)}`,
  'runtime.part_lost': ({ data }) => `${text(data.name) || 'a part of the runtime'} is lost${after(': ', data.message)}`,
  'runtime.part_restored': ({ data }) => `${text(data.name) || 'a part of the runtime'} is back`,
  'broker.lost': ({ data }) => `${text(data.broker) || 'a broker'} cannot be used${after(': ', data.message)}`,
  'broker.restored': ({ data }) => `${text(data.broker) || 'a broker'} is back`,
  'regent.started': ({ data }) => `Regent${after(' ', data.version)} started`,
  'regent.stopping': () => 'Regent stops',
}

/** Not what it says and does, but why it lives or does not. */
const apart: ReadonlySet<EventType> = new Set(['agent.activity_changed'])
export const timelineTypes: readonly EventType[] = (Object.keys(words) as EventType[]).filter(
  (type) => /^(agent|run)\./.test(type) && !apart.has(type),
)

export interface TimelineEntry {
  readonly number: number
  readonly at: number
  readonly type: EventType
  readonly actor: string
  /** The state it led to; null where it led to none. */
  readonly state: string | null
  readonly text: string
}

export function entryOf({ number, at, type, actor, data }: EventRow): TimelineEntry {
  const state = type === 'agent.start_held' ? data.state : data.to
  return { number, at, type, actor, state: typeof state === 'string' ? state : null, text: words[type]({ actor, data }) }
}

export interface Present {
  readonly life: LifeRow
  /** The last time that somebody asked for a start, a restart or a stop. */
  readonly asked: Told | undefined
  readonly health: string | null
  readonly ready: boolean | null
  readonly startsecs: number
  /** Epoch ms. */
  readonly now: number
}

/** One sentence on the present state. */
export function whyOf(present: Present): string {
  const { life, now } = present
  const forLong = span(Math.max(0, now - life.since))
  const asker = present.asked ? asked(present.asked) : ''
  switch (life.state) {
    case 'RUNNING':
      return `It has been running for ${forLong}${asker && `, wanted${asker}`}${restarted(life)}${wellness(present)}.`
    case 'STARTING':
      return `It was launched ${forLong} ago (${life.reason}) and counts as RUNNING once it has lived for ${present.startsecs} s.`
    case 'STOPPING':
      return `It has been stopping for ${forLong}: ${life.reason}${asker}.`
    case 'STOPPED':
      return life.desired === 'running'
        ? `It is wanted${asker && `${asker},`} and not started yet: ${life.reason}.`
        : `It has been stopped for ${forLong}: ${life.reason}${life.reason.startsWith('stopped as asked') ? asker : ''}.`
    case 'BACKOFF':
      return `It ended by itself and is to be started again: ${life.reason}.`
    case 'EXITED':
      return `It ended by itself ${forLong} ago: ${life.reason}.`
    case 'FATAL':
      return `It was given up ${forLong} ago: ${life.reason}. A start tries anew.`
    case 'UNKNOWN':
      return `It cannot be seen now: ${life.reason}.`
  }
}

const restarted = ({ restarts }: LifeRow): string =>
  restarts === 0 ? '' : `, restarted ${restarts === 1 ? 'once' : `${restarts} times`} since it was last asked for`

function wellness({ health, ready }: Present): string {
  if (health === 'unhealthy') return ', and is unhealthy'
  return ready === false ? ', and is not ready' : ''
}

const text = (value: Json | undefined): string => (typeof value === 'string' || typeof value === 'number' ? String(value) : '')

/** `: reason`, or nothing where there is none. */
function after(lead: string, value: Json | undefined, tail = ''): string {
  const said = text(value)
  return said === '' ? '' : `${lead}${said}${tail}`
}

const by = ({ actor }: Told): string => (actor === 'regent' || actor === 'agent' ? '' : ` by ${actor}`)

/** Who asked, and what for where it was not for its own sake. */
const asked = (event: Told): string => `${by(event) && `, as ${event.actor} asked`}${after(', ', event.data.cause)}`

const subjectOf = (data: EventRow['data']): string => [text(data.type), text(data.subject)].filter(Boolean).join(' ') || 'something'

function signalName(value: Json | undefined): string {
  const name = text(value)
  return name === '' ? 'a signal' : name.startsWith('SIG') ? name : `SIG${name}`
}

const lived = ({ lived_ms }: EventRow['data']): string => (typeof lived_ms === 'number' ? `; it had lived for ${span(lived_ms)}` : '')

const oom = (data: EventRow['data']): string => (data.oom === true ? '; it was out of memory' : '')

function survivors({ survivors: pids }: EventRow['data']): string {
  if (!Array.isArray(pids) || pids.length === 0) return ''
  return `; still alive: ${pids.length === 1 ? 'process' : 'processes'} ${pids.map(String).join(', ')}`
}

/** `0.4 s`, `12 s`, `3 min`, `5 h`, `2 d` */
export function span(ms: number): string {
  const s = ms / 1000
  if (s < 10) return `${Number(s.toFixed(1))} s`
  if (s < 120) return `${Math.round(s)} s`
  if (s < 7200) return `${Math.round(s / 60)} min`
  return s < 172_800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86_400)} d`
}
