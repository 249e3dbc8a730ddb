import { z } from 'zod'
import { agentName, userName } from '../../contract/names.ts'
import { runStates } from '../../contract/states.ts'
import { teamDefinition } from '../../contract/team.ts'
import type { Describe, Doc } from './openapi-schemas.ts'

const agentConfig = z.object({ username: userName, name: agentName, ...teamDefinition.shape }).meta({ id: 'AgentConfig' })
const told = z.object({ message: z.string() })
const listItem = z.looseObject({
  agent: z.string().describe('username/name'),
  file_exists: z.boolean(),
  is_active_in_background: z.boolean(),
  status: z.enum(runStates),
  pid: z.number().int().nullable(),
})
const detail = z.object({
  name: z.string(),
  username: z.string(),
  status: z.enum(runStates),
  file: z.string().nullable(),
  exists: z.boolean(),
})

const name: Doc = { name: 'agent_name', in: 'path', required: true, schema: { type: 'string' } }
const username = (required: boolean): Doc => ({ name: 'username', in: 'query', required, schema: { type: 'string' } })

const failures: Doc = {
  422: {
    description: 'Validation Error',
    content: {
      'application/json': {
        schema: {
          type: 'object',
          properties: {
            detail: {
              type: 'array',
              items: {
                type: 'object',
                required: ['type', 'loc', 'msg', 'input'],
                properties: { type: { type: 'string' }, loc: { type: 'array' }, msg: { type: 'string' }, input: {} },
              },
            },
          },
        },
      },
    },
  },
  default: {
    description: 'Refused or failed',
    content: { 'application/json': { schema: { type: 'object', properties: { detail: { type: 'string' } } } } },
  },
}

/** The paths of manager-api.ts. */
export function managerPaths(describe: Describe): Record<string, Doc> {
  const path = (operationId: string, summary: string, parameters: readonly Doc[], output: z.ZodType, input?: z.ZodType): Doc => ({
    operationId,
    summary,
    tags: ['manager API'],
    ...(parameters.length > 0 && { parameters }),
    ...(input && { requestBody: { required: true, content: { 'application/json': { schema: describe(input, 'input') } } } }),
    responses: {
      200: { description: 'Successful Response', content: { 'application/json': { schema: describe(output, 'output') } } },
      ...failures,
    },
  })
  const one = [name, username(true)]
  return {
    '/agents': {
      post: path('manager.create', 'Create a new agent', [], told.extend({ file: z.string() }), agentConfig),
      get: path('manager.list', 'List all agents', [username(false)], z.array(listItem)),
    },
    '/agents/{agent_name}': {
      get: path('manager.details', 'Get agent details', one, detail),
      delete: path('manager.delete', 'Delete an agent', one, told),
    },
    '/agents/{agent_name}/start': {
      post: path('manager.start', 'Start an agent', one, told.extend({ status: z.string(), start_output: z.string() })),
    },
    '/agents/{agent_name}/stop': { post: path('manager.stop', 'Stop an agent', one, told) },
  }
}
