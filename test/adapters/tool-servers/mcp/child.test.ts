import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { silentLogger } from '../../../../src/kernel/logger.ts'
import { call, connected, ownServer, path, stdioConfig, textOf } from '../../../helpers/mcp.ts'

const isAlive = (pid: number): boolean => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}
const groupOf = (pid: number): string | undefined => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]
}
const number = async (result: Promise<Parameters<typeof textOf>[0]>) => Number(textOf(await result))

function folder(): string {
  const made = realpathSync(mkdtempSync(join(tmpdir(), 'regent-mcp-')))
  onTestFinished(() => rmSync(made, { recursive: true, force: true }))
  return made
}

describe('the child of an MCP server', () => {
  it('gets its own environment and nothing of ours [I2-MCP-01] [S0-17]', async () => {
    process.env.REGENT_TEST_SECRET = 'ours'
    onTestFinished(() => {
      delete process.env.REGENT_TEST_SECRET
    })
    const cwd = folder()
    const server = await connected(stdioConfig('stdio', { env: { API_KEY: 'its own' }, cwd }))
    const { env, cwd: seen } = JSON.parse(textOf(await call(server, 'surroundings')))
    expect(env).toEqual({ PATH: path, HOME: '/nowhere', API_KEY: 'its own' })
    expect(seen).toBe(cwd)
  })

  it.each([
    [{ command: 'uvx', args: ['something'] }, /there is no program "uvx" \(looked in the folders of PATH: \/nothing-here\)/, /Install uv/],
    [{ command: 'npx' }, /"npx"/, /Install Node\.js/],
    [{ command: 'no-such-program' }, /"no-such-program"/, /whole path/],
    [{ command: './server' }, /looked at \/.*\/server/, /whole path/],
    [{ command: '/etc/passwd' }, /looked at \/etc\/passwd/, /whole path/],
    [{ command: 'node', cwd: '/no/such/folder' }, /working directory \/no\/such\/folder/, /cwd/],
  ])('names what is missing: %j', async (config, message, hint) => {
    const start = connected(config, {}, { baseEnv: { PATH: '/nothing-here' } })
    await expect(start).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(message),
      hint: expect.stringMatching(hint),
    })
  })

  it('is not taken from the working directory by an empty place in PATH', async () => {
    const cwd = folder()
    writeFileSync(join(cwd, 'planted'), '#!/bin/sh\n', { mode: 0o755 })
    await expect(connected({ command: 'planted', cwd }, {}, { baseEnv: { PATH: ':.' } })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  it.each([
    [{ args: [] }, 'command'],
    [{ transport: 'http' }, 'url'],
    [{ transport: 'sse', url: 'ftp://x' }, 'url'],
    [{ command: 'node', roots: [{ uri: 'https://example.org' }] }, 'file:///'],
    [{ transport: 'http', url: 'http://127.0.0.1:1', headers: { 'x-bad': 'two\nlines' } }, 'headers'],
  ])('needs a whole configuration: %j', async (config, hint) => {
    await expect(connected(config)).rejects.toMatchObject({ code: 'INVALID', hint: expect.stringContaining(hint) })
  })

  it('is ended when it does not answer the greeting [part of F79]', async () => {
    const start = performance.now()
    const script =
      "require('fs').writeFileSync('pid', String(process.pid)); process.on('SIGTERM', () => {}); process.stdin.resume(); setInterval(() => {}, 1e6)"
    const cwd = folder()
    await expect(connected({ command: 'node', args: ['-e', script], cwd }, { connectMs: 500 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('did not answer within 0.5 s'),
    })
    expect(performance.now() - start).toBeLessThan(8_000)
    expect(isAlive(Number(readFileSync(join(cwd, 'pid'), 'utf8')))).toBe(false)
  })

  it('is told of with its last words when it ends at once, without its secrets', async () => {
    const script = "console.error('cannot log in with ' + process.env.API_KEY); process.exit(3)"
    const error = await connected({ command: 'node', args: ['-e', script], env: { API_KEY: 'hush-hush' } }).catch((thrown) => thrown)
    expect(error).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/exit code 3.*cannot log in with \*\*\*/) })
  })

  it('is told of with the line of a stack trace that says what is wrong', async () => {
    const start = connected({ command: 'node', args: ['-e', "const x = 1\nthrow new Error('no database here')"] })
    await expect(start).rejects.toMatchObject({ message: expect.stringContaining('Error: no database here') })
  })

  it('is ended when it sends a message too long to keep', async () => {
    const server = await connected(stdioConfig())
    await expect(call(server, 'big', { bytes: 20 << 20, parts: 2 })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(await server.closed).toContain('a message of more than')
  })

  it('stops waiting for it when it is aborted', async () => {
    const stop = new AbortController()
    const start = connected(stdioConfig('hangs'), {}, { signal: stop.signal })
    stop.abort(new Error('stopped'))
    await expect(start).rejects.toThrow('stopped')
  })

  it('fails the call that it dies in, and says why it is gone [part of F79]', async () => {
    const server = await connected(stdioConfig())
    await expect(call(server, 'die')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/SIGKILL.*my last words/),
    })
    expect(await server.closed).toMatch(/SIGKILL.*my last words/)
    await expect(call(server, 'echo', { text: 'x' })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })

  it('may flood stderr: it is read on, and little of it is logged [part of F79]', async () => {
    let logged = 0
    const logger = { ...silentLogger, child: () => ({ ...silentLogger, debug: () => void logged++ }) }
    const before = process.memoryUsage().rss
    const server = await connected(stdioConfig(), { logger })
    expect(textOf(await call(server, 'flood', { mib: 64 }))).toBe('flooded')
    expect(process.memoryUsage().rss - before).toBeLessThan(100 << 20)
    expect(logged).toBeLessThan(2_000)
  })

  it('may print to stdout what is no message', async () => {
    const server = await connected(stdioConfig())
    expect(textOf(await call(server, 'noise'))).toBe('made some noise')
    expect(textOf(await call(server, 'echo', { text: 'still here' }))).toBe('still here')
  })

  it('ends with all it started, however stubborn [I2-MCP-02]', async () => {
    const server = await connected(stdioConfig())
    const grandchild = await number(call(server, 'spawn'))
    const child = await number(call(server, 'stubborn'))
    expect([child, grandchild].every(isAlive)).toBe(true)
    await server.close()
    expect([child, grandchild].filter(isAlive)).toEqual([])
  })

  it('leaves nothing behind when it is killed [I2-MCP-02]', async () => {
    const server = await connected(stdioConfig())
    const grandchild = await number(call(server, 'spawn'))
    await expect(call(server, 'die')).rejects.toThrow()
    await expect.poll(() => isAlive(grandchild), { timeout: 8_000 }).toBe(false)
  })

  it('stays in the process group of its agent, so that what kills the group kills it [I2-MCP-02]', async () => {
    const { child, server } = await agent()
    expect(groupOf(server)).toBe(String(child))
    process.kill(-child, 'SIGKILL')
    await expect.poll(() => isAlive(server)).toBe(false)
  })

  it('ends by itself when its agent is killed alone [I2-MCP-02]', async () => {
    const { child, server } = await agent()
    process.kill(child, 'SIGKILL')
    await expect.poll(() => isAlive(server)).toBe(false)
  })
})

/** A process of its own that is connected with an MCP server: the pids of both. */
async function agent(): Promise<{ child: number; server: number }> {
  const helper = join(import.meta.dirname, '../../../../src/adapters/tool-servers/tool-servers.ts')
  const script = `
    const { createToolServers } = await import(${JSON.stringify(helper)})
    const logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => logger }
    const clock = { now: Date.now, elapsed: () => performance.now(), after: () => () => {}, sleep: async () => {} }
    const signal = new AbortController().signal
    const servers = createToolServers({ clock, logger, nodePath: process.execPath, version: '0', cwd: '/tmp' })
    const config = { transport: 'stdio', command: 'node', args: ${JSON.stringify([ownServer, 'stdio'])}, env: {}, headers: {}, roots: [] }
    const server = await servers.connect('own', config, { signal, baseEnv: { PATH: ${JSON.stringify(path)} } })
    const { content: [{ text }] } = await server.call('surroundings', {}, { signal, approved: false })
    console.log(JSON.parse(text).pid)
    setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const { pid = 0 } = child
  onTestFinished(() => {
    if (isAlive(pid)) process.kill(-pid, 'SIGKILL')
  })
  const [line] = await once(child.stdout, 'data')
  return { child: pid, server: Number(String(line)) }
}
