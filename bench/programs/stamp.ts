import { appendFileSync } from 'node:fs'
import { McpServer } from '@modelcontextprotocol/server'
import { StdioServerTransport } from '@modelcontextprotocol/server/stdio'
import { z } from 'zod'

// An MCP server over stdio whose tool writes down when it is called, on the clock that all processes of a machine share.

const [file = ''] = process.argv.slice(2)
const server = new McpServer({ name: 'stamp', version: '1.0.0' })
server.registerTool(
  'stamp',
  { description: 'Writes down when it is called.', inputSchema: z.object({ round: z.number() }) },
  ({ round }) => {
    const at = process.hrtime.bigint()
    appendFileSync(file, `${round} ${at}\n`)
    return { content: [{ type: 'text', text: `round ${round}` }] }
  },
)
await server.connect(new StdioServerTransport())
