import { z } from 'zod'

/** One member of a team (000's SubAgent). */
export const subAgent = z
  .object({
    name: z.string().min(1).max(64).describe('how the plan names it'),
    instruction: z.string().max(100_000).describe('what it is told to be'),
    servers: z.array(z.string().min(1).max(128)).max(64).default([]).describe('ids of json_config.mcp.servers that it may use'),
    model: z.string().min(1).max(200).default('haiku').describe('alias, model, or provider.model[.effort]'),
  })
  .meta({ id: 'SubAgent' })

/** A tool that asks before it runs. */
export const toolCallRule = z.looseObject({
  name: z.string().min(1),
  seek_confirm: z.boolean().default(false),
  time_to_confirm: z.number().int().min(0).max(86_400_000).default(120_000).describe('ms until the default answer'),
  default: z.enum(['confirm', 'reject']).default('reject'),
})

export const mcpServer = z.looseObject({
  name: z.string().optional(),
  description: z.string().optional(),
  transport: z.enum(['stdio', 'sse', 'http']).default('stdio'),
  command: z.string().min(1).optional(),
  args: z.array(z.string()).default([]),
  env: z.record(z.string(), z.string()).default({}),
  cwd: z.string().optional(),
  url: z.string().optional(),
  headers: z.record(z.string(), z.string()).default({}),
  auth: z.looseObject({ api_key: z.string().optional() }).optional(),
  read_timeout_seconds: z.number().positive().max(86_400).optional(),
  read_transport_sse_timeout_seconds: z.number().positive().max(86_400).default(300),
  roots: z.array(z.looseObject({ uri: z.string(), name: z.string().optional() })).default([]),
  sampling: z.looseObject({ model: z.string() }).optional(),
  elicitation: z.looseObject({ mode: z.string().default('none') }).optional(),
  tool_calls: z.array(toolCallRule).default([]),
})
export type McpServer = z.output<typeof mcpServer>

const provider = z.looseObject({ api_key: z.string().optional(), base_url: z.string().optional() })

const pubsubConfig = z.looseObject({
  backend: z.enum(['msk', 'kafka', 'redis', 'memory']).default('memory'),
  channel_name: z.string().min(1).max(200).optional(),
  use_redis: z.boolean().optional(),
  msk: z.looseObject({ bootstrap_servers: z.array(z.string()).default([]), topic_prefix: z.string().default('mcp_agent_') }).optional(),
  kafka: z.looseObject({ bootstrap_servers: z.array(z.string()).default([]), topic_prefix: z.string().default('mcp_agent_') }).optional(),
  redis: z
    .looseObject({
      host: z.string().optional(),
      port: z.number().int().optional(),
      db: z.number().int().default(0),
      channel_prefix: z.string().default('agent:'),
    })
    .optional(),
})

/** 000's json_config: the keys Regent reads; unknown keys are kept and passed to the agent unchanged. */
export const teamConfig = z.looseObject({
  mcp: z.looseObject({ servers: z.record(z.string().min(1).max(128), mcpServer).default({}) }).optional(),
  default_model: z.string().min(1).default('haiku'),
  logger: z
    .looseObject({
      level: z.enum(['debug', 'info', 'warning', 'error']).default('info'),
      type: z.enum(['none', 'console', 'file', 'http']).default('console'),
    })
    .optional(),
  pubsub_enabled: z.boolean().default(false),
  pubsub_config: pubsubConfig.optional(),
  anthropic: provider.optional(),
  openai: provider.optional(),
})
export type TeamConfig = z.output<typeof teamConfig>

/** A plan could not tell apart two that differ in case alone. */
function uniqueNames(members: readonly { readonly name: string }[], context: z.RefinementCtx): void {
  const seen = new Set<string>()
  for (const [index, { name }] of members.entries()) {
    const key = name.toLowerCase()
    if (seen.has(key)) context.addIssue({ code: 'custom', path: [index, 'name'], message: `another subagent is called '${name}' already` })
    seen.add(key)
  }
}

/** What makes a team: stored as posted (the schema's defaults are applied when it is read, not when it is kept). */
export const teamDefinition = z
  .object({
    subagents: z.array(subAgent).max(256).superRefine(uniqueNames),
    json_config: teamConfig,
    initial_task: z.string().max(1_000_000).nullish(),
  })
  .meta({ id: 'TeamDefinition' })
export type SubAgent = z.output<typeof subAgent>
