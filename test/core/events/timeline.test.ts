import { describe, expect, it } from 'vitest'
import { type EventType, eventTypes } from '../../../src/contract/events.ts'
import { entryOf, span, timelineTypes, whyOf } from '../../../src/core/events/timeline.ts'
import type { JsonObject } from '../../../src/kernel/json.ts'
import type { LifeRow } from '../../../src/ports/store.ts'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'

const entry = (type: EventType, data: JsonObject = {}, actor = 'regent') =>
  entryOf({ number: 1, at: 0, type, agentId: 'a', agent: 'alice/web', owner: 'alice', actor, data })

/** What is said of each event of a life. */
const table: [EventType, JsonObject, string, string][] = [
  ['agent.created', { kind: 'command', revision: 1 }, 'alice', 'created by alice'],
  ['agent.created', { recovered: true }, 'regent', 'made anew from what was left of its runs'],
  ['agent.updated', { revision: 3 }, 'alice', 'changed by alice to revision 3'],
  ['agent.deleted', {}, 'regent', 'deleted'],
  ['agent.start_requested', { start: 1 }, 'alice', 'to be started, as alice asked'],
  ['agent.start_requested', { start: 1, cause: 'needed by alice/web' }, 'bo', 'to be started, as bo asked, needed by alice/web'],
  ['agent.stop_requested', { start: 1 }, 'alice', 'to be stopped, as alice asked'],
  ['agent.stop_requested', { deleting: true }, 'alice', 'to be deleted, as alice asked'],
  ['agent.restart_requested', { start: 2 }, 'alice', 'to be restarted, as alice asked'],
  ['agent.start_held', { state: 'BACKOFF', reason: 'waits for db (healthy)' }, 'regent', 'not started yet: waits for db (healthy)'],
  ['agent.activity_changed', { activity: 'idle' }, 'agent', 'is idle'],
  [
    'agent.condition_raised',
    { type: 'broker', subject: 'redis', message: 'refused' },
    'agent',
    'something is missing: broker redis: refused',
  ],
  ['agent.condition_cleared', { type: 'broker', subject: 'redis' }, 'agent', 'no longer missing: broker redis'],
  ['agent.health_changed', { health: 'unhealthy', message: '503' }, 'regent', 'is unhealthy: 503'],
  ['agent.ready_changed', { ready: false, message: 'refused' }, 'regent', 'is not ready: refused'],
  ['agent.ready_changed', { ready: true }, 'regent', 'is ready'],
  [
    'agent.stalled',
    { message: 'no sign of work for 60 s', step: 'nudge' },
    'regent',
    'lives and does nothing: no sign of work for 60 s; step nudge',
  ],
  ['agent.stalled', { cleared: true }, 'regent', 'works again'],
  ['agent.schedule_fired', { cron: '0 4 * * *', done: 'restarted' }, 'schedule', 'its schedule came (0 4 * * *): restarted'],
  [
    'agent.schedule_fired',
    { cron: '0 4 * * *', missed: true, done: 'skipped: it was missed' },
    'schedule',
    'its schedule was missed (0 4 * * *): skipped: it was missed',
  ],
  ['agent.signalled', { signal: 'HUP' }, 'alice', 'sent SIGHUP by alice'],
  ['agent.signalled', { signal: 'SIGHUP' }, 'alice', 'sent SIGHUP by alice'],
  ['agent.logs_cleared', {}, 'alice', 'its output was forgotten by alice'],
  ['run.starting', { to: 'STARTING', reason: 'started as asked' }, 'regent', 'launched: started as asked'],
  ['run.running', { to: 'RUNNING', reason: 'alive for 1 s', pid: 42 }, 'regent', 'up: alive for 1 s, pid 42'],
  ['run.stopping', { to: 'STOPPING', reason: 'deleted' }, 'regent', 'told to end: deleted'],
  [
    'run.stopped',
    { to: 'STOPPED', reason: 'stopped as asked (ended by SIGKILL)', lived_ms: 90_000, survivors: [7, 8] },
    'regent',
    'stopped as asked (ended by SIGKILL); it had lived for 90 s; still alive: processes 7, 8',
  ],
  [
    'run.exited',
    { to: 'EXITED', reason: 'ended by SIGKILL', lived_ms: 400, oom: true },
    'regent',
    'ended by itself: ended by SIGKILL; it had lived for 0.4 s; it was out of memory',
  ],
  [
    'run.backoff',
    { to: 'BACKOFF', reason: 'exited with code 1; restarted in 2.0 s', lived_ms: 7200_000, delay_ms: 2000 },
    'regent',
    'exited with code 1; restarted in 2.0 s; it had lived for 2 h',
  ],
  [
    'run.fatal',
    { to: 'FATAL', reason: 'no such program (exited with code 127): check the command and PATH' },
    'regent',
    'given up: no such program (exited with code 127): check the command and PATH',
  ],
  ['run.unknown', { to: 'UNKNOWN', reason: 'Docker does not answer' }, 'regent', 'cannot be seen: Docker does not answer'],
  ['run.adopted', { run_id: 'r', pid: 42 }, 'regent', 'taken up again after a restart of Regent, pid 42'],
]

describe('the words of an event', () => {
  it.each(table)('%s %o by %s: %s', (type, data, actor, text) => {
    expect(entry(type, data, actor)).toMatchObject({ type, actor, text })
  })

  it('are there for every event, whatever its data lack', () => {
    for (const type of eventTypes) {
      const { text } = entry(type)
      expect(text, type).toMatch(/^[A-Za-z].*[a-z]$/)
      expect(text, type).not.toMatch(/undefined|null|NaN|\[object/)
    }
  })

  it('name the state that it led to', () => {
    expect(entry('run.backoff', { from: 'STARTING', to: 'BACKOFF' }).state).toBe('BACKOFF')
    expect(entry('agent.start_held', { state: 'EXITED' }).state).toBe('EXITED')
    expect(entry('agent.updated').state).toBeNull()
  })

  it('of each event of a life are in the table', () => {
    const inTable = new Set(table.map(([type]) => type))
    expect(timelineTypes.filter((type) => !inTable.has(type))).toEqual([])
    expect(timelineTypes).not.toContain('message.queued')
  })
})

describe('why it is in its state', () => {
  const life = (change: Partial<LifeRow>): LifeRow => ({
    agentId: 'a',
    desired: 'running',
    start: 1,
    state: 'RUNNING',
    reason: 'alive for 1 s',
    since: 0,
    runId: 'r',
    restarts: 0,
    deaths: 0,
    earlyDeaths: 0,
    retryAt: null,
    exitCode: null,
    exitSignal: null,
    ...change,
  })
  const why = (change: Partial<LifeRow>, more: Partial<Parameters<typeof whyOf>[0]> = {}) =>
    whyOf({
      life: life(change),
      asked: { actor: 'alice', data: { start: 1 } },
      health: null,
      ready: null,
      startsecs: 1,
      now: 180_000,
      ...more,
    })

  it.each<[Partial<LifeRow>, string]>([
    [{}, 'It has been running for 3 min, wanted, as alice asked.'],
    [{ restarts: 2 }, 'It has been running for 3 min, wanted, as alice asked, restarted 2 times since it was last asked for.'],
    [
      { state: 'STARTING', reason: 'restart 1 after: exited with code 1', since: 179_500 },
      'It was launched 0.5 s ago (restart 1 after: exited with code 1) and counts as RUNNING once it has lived for 1 s.',
    ],
    [{ state: 'STOPPING', reason: 'stopped as asked' }, 'It has been stopping for 3 min: stopped as asked, as alice asked.'],
    [
      { state: 'STOPPED', desired: 'stopped', reason: 'stopped as asked (ended by SIGTERM)' },
      'It has been stopped for 3 min: stopped as asked (ended by SIGTERM), as alice asked.',
    ],
    [{ state: 'STOPPED', reason: 'waits for db (healthy)' }, 'It is wanted, as alice asked, and not started yet: waits for db (healthy).'],
    [
      { state: 'BACKOFF', reason: 'exited with code 1; restarted in 2.0 s' },
      'It ended by itself and is to be started again: exited with code 1; restarted in 2.0 s.',
    ],
    [{ state: 'EXITED', reason: 'exited with code 0' }, 'It ended by itself 3 min ago: exited with code 0.'],
    [{ state: 'FATAL', reason: 'no such program' }, 'It was given up 3 min ago: no such program. A start tries anew.'],
    [{ state: 'UNKNOWN', reason: 'Docker does not answer' }, 'It cannot be seen now: Docker does not answer.'],
  ])('%o', (change, sentence) => {
    expect(why(change)).toBe(sentence)
  })

  it('tells how well it is', () => {
    expect(why({}, { health: 'unhealthy' })).toContain(', and is unhealthy.')
    expect(why({}, { health: 'healthy', ready: false })).toContain(', and is not ready.')
  })

  it('spans are short', () => {
    expect([400, 12_000, 125_000, 7_300_000, 200_000_000].map(span)).toEqual(['0.4 s', '12 s', '2 min', '2 h', '2 d'])
  })
})

describe('agents.timeline', () => {
  it('tells what happened to one agent, newest last, a page at a time, to those who may see it [I3-WHY-01]', async () => {
    const world = await CoreWorld.open()
    const alice = userCalled('alice')
    const agent = { kind: 'command', name: 'web', command: ['sleep', '9'] }
    await world.call('agents.create', { agent, start: true }, alice)
    await world.call('agents.start', { agent: 'web', wait: true }, alice)
    await world.call('agents.stop', { agent: 'web', wait: true }, alice)
    type Answer = { state: string; why: string; entries: { number: number; text: string; state: string | null }[] }
    const all = await world.call<Answer>('agents.timeline', { agent: 'web' }, alice)
    expect(all.entries.map(({ text }) => text)).toEqual([
      'created by alice',
      'to be started, as alice asked',
      'launched: started as asked',
      expect.stringMatching(/^up: alive for 0 s, pid \d+$/),
      'to be stopped, as alice asked',
      'told to end: stopped as asked',
      expect.stringMatching(/^stopped as asked \(ended by SIGTERM\); it had lived for /),
    ])
    expect(all).toMatchObject({ state: 'STOPPED', why: expect.stringMatching(/^It has been stopped for .*, as alice asked\.$/) })
    const two = await world.call<Answer>('agents.timeline', { agent: 'web', limit: 2, before: all.entries[4]?.number }, alice)
    expect(two.entries).toEqual(all.entries.slice(2, 4))
    await expect(world.call('agents.timeline', { agent: 'alice/web' }, userCalled('bo'))).rejects.toThrow('there is no agent')
  })
})
