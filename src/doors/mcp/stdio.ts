import { type JSONRPCMessage, serializeMessage } from '@modelcontextprotocol/server'
import { StdioServerTransport, serveStdio } from '@modelcontextprotocol/server/stdio'
import { Answers } from './answers.ts'
import { createToolServer, type ToolSet } from './server.ts'
import { Settling } from './settling.ts'
import type { ToolHost } from './tool-host.ts'
import { watchTranscripts } from './watch-transcripts.ts'

export interface StdioOptions {
  readonly host: Omit<ToolHost, 'afterAnswer' | 'settling'>
  readonly tools: ToolSet
  readonly version: string
}

/** Serves MCP over this process's stdin and stdout until the client closes them. */
export async function serveToolsOverStdio({ host, tools, version }: StdioOptions): Promise<void> {
  const answers = new Answers()
  const closed = Promise.withResolvers<void>()
  const transport = new FlushingTransport(answers)
  const whole: ToolHost = { ...host, settling: new Settling(), afterAnswer: (id, settle) => answers.add(id, settle) }
  const over = new AbortController()
  const handle = serveStdio(
    () => {
      const server = createToolServer(whole, { tools, version, subscribe: true })
      if (tools !== 'agents') watchTranscripts(server, whole, over.signal)
      return server
    },
    { transport },
  )
  // The entry takes `onclose` over once it is connected.
  const before = transport.onclose
  transport.onclose = () => {
    before?.()
    closed.resolve()
  }
  process.stdin.once('close', closed.resolve)
  process.stdin.once('end', closed.resolve)
  process.stdout.once('error', () => closed.resolve())
  await closed.promise
  over.abort()
  answers.close()
  await handle.close()
}

/** Knows when an answer has left: what was written is in the pipe then. */
class FlushingTransport extends StdioServerTransport {
  readonly #answers: Answers

  constructor(answers: Answers) {
    super()
    this.#answers = answers
  }

  override send(message: JSONRPCMessage): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    process.stdout.write(serializeMessage(message), (error) => {
      if ('id' in message && !('method' in message) && message.id !== undefined) this.#answers.settle(message.id, !error)
      if (error) reject(error)
      else resolve()
    })
    return promise
  }
}
