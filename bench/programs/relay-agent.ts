import { once } from 'node:events'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { WebSocket } from 'ws'
import { answer, takeJob } from '../lib/job.ts'
import { stampArgv } from '../lib/relay.ts'

// The other end of programs/relay.ts: echoes, or calls the tool of an MCP server.

const { url, stampFile } = await takeJob<{ url: string; stampFile?: string }>()
const tools = stampFile === undefined ? undefined : await connectTools(stampFile)
const socket = new WebSocket(url)
await once(socket, 'open')
socket.on('message', async (data) => {
  const { number, content } = JSON.parse(String(data))
  if (tools) await tools.callTool({ name: 'stamp', arguments: { round: Number(content) } })
  socket.send(JSON.stringify({ number, content: `You said: ${content}` }))
})
answer('ready')

async function connectTools(file: string): Promise<Client> {
  const [command, ...args] = stampArgv(file)
  const client = new Client({ name: 'relay', version: '1.0.0' })
  await client.connect(new StdioClientTransport({ command, args }))
  return client
}
