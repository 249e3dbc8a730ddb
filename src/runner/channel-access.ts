import type { BrokerSettings } from '../contract/brokers.ts'
import { type ChannelDefaults, type ChannelPlace, channelPlace } from '../contract/channels.ts'
import { RegentError, reasonOf } from '../kernel/errors.ts'
import type { Bus } from '../ports/bus.ts'
import { Channel } from './channel.ts'
import type { ChannelOptions } from './channel-options.ts'
import type { TeamSpec } from './definition.ts'

/** What an agent needs to reach a broker. */
export interface ChannelAccess {
  readonly defaults: ChannelDefaults
  /** Another owner holds the channel, as Regent knew at the start; Regent says when that changes. */
  readonly refused: boolean
  readonly openBroker: (settings: BrokerSettings) => Promise<Bus>
}

interface Speaker extends Pick<ChannelOptions, 'agentId' | 'runId' | 'clock' | 'logger'> {
  readonly spec: TeamSpec
  readonly channel: ChannelAccess
  readonly runDir: string | null
}

type Parts = Pick<ChannelOptions, 'journal' | 'conditions' | 'inbox' | 'approvals'>

/** The channel of a definition, not yet listening; null where there is none or Regent carries it. Settings that are not right are a condition. */
export function openChannel(options: Speaker, parts: Parts): Channel | null {
  const { spec, channel, agentId, runId, runDir, clock, logger } = options
  const place = placeOf(options, parts)
  if (place?.broker === undefined) {
    if (parts.journal.state.unspoken.position !== null) parts.journal.note({ e: 'spoken', seq: null })
    return null
  }
  const { openBroker } = channel
  const own = { name: spec.name, agentId, runId, relieved: runDir !== null, openBroker, clock, logger }
  return new Channel({ place, broker: place.broker, ...own, ...parts })
}

function placeOf({ spec, channel }: Speaker, { conditions }: Parts): ChannelPlace | undefined {
  try {
    return channelPlace(spec.name, spec.config, channel.defaults)
  } catch (error) {
    const hint = error instanceof RegentError && error.hint !== undefined ? `; ${error.hint}` : ''
    conditions.raise('broker', spec.config.pubsub_config?.backend ?? 'memory', `${reasonOf(error)}${hint}`)
    return undefined
  }
}
