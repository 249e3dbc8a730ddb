import { z } from 'zod'
import { isObject, type JsonObject } from '../kernel/json.ts'
import { userName } from './names.ts'

/** 001's words on the bus: who an agent is for its customer, and the bodies of commands and events. */

const agentTypes = ['trading', 'analysis', 'risk_management', 'portfolio_optimization', 'custom'] as const

/** What callers call an agent by: part of a queue's name, so short and plain. */
const wireId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$/, 'must start with a letter or digit and hold only letters, digits, _ . : and -, at most 128')
  .refine((id) => id !== 'manager', 'is the name of the command queue itself; use a UUID')

/** Part of a message's id, which AMQP bounds in bytes. */
const short = z
  .string()
  .min(1)
  .refine((text) => new TextEncoder().encode(text).length <= 200, 'must have at most 200 bytes')

const settings = z.record(z.string(), z.unknown()).default({})

/** Unknown keys are kept with the agent. */
export const agentConfig = z.looseObject({
  agent_id: wireId,
  customer_id: userName,
  agent_type: z.enum(agentTypes),
  name: z.string().trim().min(1).max(200),
  description: z.string().max(10_000).nullish(),
  config: settings,
  autogen_config: settings,
})
export type AgentConfig = z.output<typeof agentConfig>

const target = { agent_id: wireId, customer_id: userName.nullish(), sequence: z.number().int().min(0).nullish() }

/** Of each `message_type` that the manager takes. */
export const commandPayloads = {
  'agent.create': agentConfig.extend({ sequence: target.sequence }),
  'agent.update': z.looseObject({
    ...target,
    config: z.record(z.string(), z.unknown()).optional(),
    autogen_config: z.record(z.string(), z.unknown()).optional(),
    name: agentConfig.shape.name.optional(),
    description: agentConfig.shape.description,
  }),
  'agent.start': z.looseObject(target),
  'agent.stop': z.looseObject(target),
  'agent.pause': z.looseObject(target),
  'agent.restart': z.looseObject(target),
  'agent.delete': z.looseObject(target),
  'admin.agent.stop': z.looseObject({
    ...target,
    reason: z.string().max(1000).default('Admin requested stop'),
    force: z.boolean().default(false),
    admin_id: z.string().max(200).nullish(),
  }),
  'team.orchestrate': z.looseObject({ team_id: z.string().min(1).max(128), customer_id: userName.nullish() }),
} as const
export type CommandType = keyof typeof commandPayloads
export const commandTypes = Object.keys(commandPayloads) as readonly CommandType[]

/** Around every direct message, to the manager and to agents. */
export const directMessage = z.looseObject({
  message_type: z.string().min(1).max(200),
  payload: z.record(z.string(), z.unknown()),
  timestamp: z.string().max(100).nullish(),
  correlation_id: z.string().max(200).nullish(),
})

export const busEvent = z.looseObject({
  event_id: z.string().min(1).max(200),
  event_type: z.string().min(1).max(200),
  source: z.string().max(200),
  timestamp: z.string().max(100).nullish(),
  data: z.record(z.string(), z.unknown()),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  correlation_id: z.string().max(200).nullish(),
  customer_id: z.string().max(200).nullish(),
})

/** What an agent does for the messages on its own queue. */
export const taskPayloads = {
  'task.execute': z.looseObject({
    task_id: short,
    type: z.string().max(200).nullish(),
    parameters: z.record(z.string(), z.unknown()).default({}),
  }),
  'config.update': z.looseObject({ config: z.record(z.string(), z.unknown()).optional(), reinitialize: z.boolean().default(false) }),
  'conversation.start': z.looseObject({ target_agent_id: wireId, message: z.string().min(1).max(900_000) }),
  'conversation.message': z.looseObject({ from_agent_id: wireId, message: z.string().min(1).max(900_000) }),
} as const

/** How callers come in who speak through the bus of agent commands. */
export const COMMANDS_DOOR = 'rabbitmq'

/** Where in a definition the caller's own words for an agent are kept, whole. */
export const CONFIG_KEY = 'agent_config'

/** Who an agent is on the bus; undefined for one that was not made there. */
export function knownAs(definition: JsonObject): { readonly agent_id: string; readonly customer_id: string } | undefined {
  const kept = isObject(definition.json_config) ? definition.json_config[CONFIG_KEY] : undefined
  if (!isObject(kept) || typeof kept.agent_id !== 'string' || typeof kept.customer_id !== 'string') return undefined
  return { agent_id: kept.agent_id, customer_id: kept.customer_id }
}

/** Where a desk keeps an agent's last sequence number, and whether it was paused. */
export const sequenceCursor = (agentId: string): string => `sequence:${agentId}`
export const pausedCursor = (agentId: string): string => `paused:${agentId}`
