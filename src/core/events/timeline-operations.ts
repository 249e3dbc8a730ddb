import type { EventType } from '../../contract/events.ts'
import { findAgent, notFound } from '../agents/find.ts'
import type { Viewing } from '../agents/views.ts'
import type { Handlers } from '../handling.ts'
import type { EventOptions } from './event-operations.ts'
import { entryOf, timelineTypes, whyOf } from './timeline.ts'

const askings: readonly EventType[] = ['agent.start_requested', 'agent.restart_requested', 'agent.stop_requested']

export function timelineOperations({
  store,
  clock,
  healthOf,
}: Pick<EventOptions, 'store'> & Pick<Viewing, 'clock' | 'healthOf'>): Handlers<'agents.timeline'> {
  return {
    async 'agents.timeline'({ agent, limit, before }, { caller }) {
      const { id, policy } = await findAgent(store.read, agent, caller)
      const { events } = store.read
      const newest = { after: 0, agentId: id, from: 'newest' } as const
      const [life, [asked], rows] = await Promise.all([
        store.read.lives.get(id),
        events.list({ ...newest, limit: 1, types: askings }),
        events.list({ ...newest, limit, types: timelineTypes, ...(before !== undefined && { before }) }),
      ])
      if (!life) throw notFound(agent)
      const present = { life, asked, ...healthOf(id), startsecs: policy.startsecs, now: clock.now() }
      return { state: life.state, why: whyOf(present), entries: rows.map(entryOf) }
    },
  }
}
