import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { createToolServers, type ToolServersOptions } from '../../src/adapters/tool-servers/tool-servers.ts'
import { mcpServer } from '../../src/contract/team.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { silentLogger } from '../../src/kernel/logger.ts'
import type { ConnectOptions, ToolResult, ToolServer } from '../../src/ports/tool-server.ts'

/** Our own runtime first, so that a server runs on the one that is tested. */
export const path = `${dirname(process.execPath)}:/usr/bin:/bin`
export const ownServer = join(import.meta.dirname, '../fixtures/mcp/own-server.mjs')
const require = createRequire(import.meta.url)
export const filesystemServer = require.resolve('@modelcontextprotocol/server-filesystem/dist/index.js')

/** What a configuration of 000 would say, defaults applied. */
export const configOf = (written: object) => mcpServer.parse(written)

export const stdioConfig = (mode = 'stdio', more: object = {}) => configOf({ command: 'node', args: [ownServer, mode], ...more })

/** Connects as the runner does; closed when the test ends. */
export async function connected(
  config: object,
  over: Partial<ToolServersOptions> = {},
  connect: Partial<ConnectOptions> = {},
): Promise<ToolServer> {
  const servers = createToolServers({
    clock: systemClock,
    logger: silentLogger,
    nodePath: process.execPath,
    version: '0.0.0',
    cwd: tmpdir(),
    ...over,
  })
  const signal = new AbortController().signal
  const server = await servers.connect('own', configOf(config), {
    signal,
    baseEnv: { PATH: path, HOME: '/nowhere' },
    ...connect,
  })
  onTestFinished(() => server.close())
  return server
}

/** A server of its own process, by its address; ended when the test is. */
export async function listening(mode: string, env: Record<string, string> = {}): Promise<{ url: string; child: ChildProcess }> {
  const child = spawn(process.execPath, [ownServer, mode], { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  onTestFinished(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const [line] = await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error(`${mode} ended at once`))),
  ])
  return { url: String(line).trim(), child }
}

export const call = (
  server: ToolServer,
  tool: string,
  args: ToolCallArgs = {},
  over: { timeoutMs?: number; signal?: AbortSignal; approved?: boolean } = {},
) => server.call(tool, args, { signal: new AbortController().signal, approved: false, ...over })
type ToolCallArgs = Parameters<ToolServer['call']>[1]

/** The text of a result. */
export const textOf = ({ content }: ToolResult): string => content.map((one) => ('text' in one ? (one.text ?? '') : '')).join('')
