import { randomUUID } from 'node:crypto'
import type { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'
import { newRace } from '../../contract/workers.ts'
import { objectAnswer, told } from './results.ts'
import type { ToolHost } from './tool-host.ts'

const read = { readOnlyHint: true } as const
const change = { readOnlyHint: false, destructiveHint: false } as const

export function registerRaceTools(server: McpServer, host: ToolHost): void {
  server.registerTool(
    'create_race',
    {
      description:
        'Have several workers attempt one task; a judge (first, a command, a score, a model) picks the winner, the others are ended',
      inputSchema: newRace.omit({ owner: true, namespace: true }),
      annotations: change,
    },
    (race, { mcpReq }) =>
      told(async () => {
        const { cwd, env } = host.caller
        const worker = { ...(cwd !== undefined && { cwd }), ...race.worker, env: { ...env, ...race.worker.env } }
        const input = { race: { ...race, worker, namespace: host.namespace } }
        return objectAnswer(await host.call('races.create', input, { signal: mcpReq.signal, key: randomUUID() }))
      }),
  )
  server.registerTool(
    'get_race',
    {
      description: 'Show a race; with timeout, wait so many seconds for its decision',
      inputSchema: z.object({ race_id: z.string().min(1), timeout: z.number().min(0).max(86_400).default(0) }),
      annotations: read,
    },
    ({ race_id, timeout }, { mcpReq }) =>
      told(async () => {
        const input = timeout === 0 ? { race: race_id } : { race: race_id, wait: true, timeout: Math.round(timeout * 1000) }
        return objectAnswer(await host.call('races.get', input, { signal: mcpReq.signal }))
      }),
  )
}
