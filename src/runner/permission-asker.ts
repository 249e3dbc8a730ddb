import { randomUUID } from 'node:crypto'
import { McpServer } from '@modelcontextprotocol/server'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'
import { runnerVariables } from '../contract/link.ts'
import { PERMISSION_TIMEOUT_VARIABLE } from '../contract/worker-link.ts'
import { systemClock } from '../kernel/clock.ts'
import { askRegent } from './permission-question.ts'

const DEFAULT_TIMEOUT_S = 120

/** As Claude Code asks; what it adds beside these is not for a person to judge by. */
const question = z.object({
  tool_name: z.string().min(1).max(500),
  input: z.record(z.string(), z.unknown()),
  tool_use_id: z.string().optional(),
})

/**
 * The program between a worker's CLI and Regent: an MCP server over stdio whose one tool asks Regent for a permission, and answers as Claude
 * Code's `--permission-prompt-tool` must. It ends with its input.
 */
export function servePermissions(env: Readonly<Record<string, string | undefined>>): void {
  const runDir = env[runnerVariables.runDir]
  const say = (words: string): void => void process.stderr.write(`permission asker: ${words}\n`)
  if (runDir === undefined || runDir === '') {
    say(`${runnerVariables.runDir} is not set: only Regent can start this`)
    process.exit(2)
  }
  const seconds = Number(env[PERMISSION_TIMEOUT_VARIABLE])
  const timeoutMs = (seconds > 0 ? seconds : DEFAULT_TIMEOUT_S) * 1000
  const gone = new AbortController()
  process.stdin.on('end', () => gone.abort())
  process.stdin.on('close', () => gone.abort())

  serveStdio(() => {
    const server = new McpServer({ name: 'regent_permissions', version: '1' })
    const about = { description: 'Asks a person whether a tool may be used', inputSchema: question }
    server.registerTool('request_permission', about, async ({ tool_name: tool, input }, { mcpReq }) => {
      const signal = AbortSignal.any([mcpReq.signal, gone.signal])
      const asked = { request_id: randomUUID(), tool, input }
      const { allow, message } = await askRegent(asked, { runDir, timeoutMs, clock: systemClock, signal, say })
      const answer = allow ? { behavior: 'allow', updatedInput: input } : { behavior: 'deny', message }
      return { content: [{ type: 'text', text: JSON.stringify(answer) }] }
    })
    return server
  })
}
