import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { toolServerConformance } from '../../../conformance/tool-server.ts'
import { call, configOf, connected, filesystemServer, listening, stdioConfig, textOf } from '../../../helpers/mcp.ts'

const configs = {
  'stdio, both eras': async () => stdioConfig(),
  'stdio, old era': async () => stdioConfig('stdio-legacy'),
  'Streamable HTTP, both eras': async () => configOf({ transport: 'http', url: `${(await listening('http')).url}/mcp` }),
  'Streamable HTTP with sessions, old era': async () =>
    configOf({ transport: 'http', url: `${(await listening('http-sessions')).url}/mcp` }),
  SSE: async () => configOf({ transport: 'sse', url: `${(await listening('sse')).url}/sse` }),
}

for (const [name, config] of Object.entries(configs)) {
  toolServerConformance(name, async () => ({
    server: await connected(await config()),
    good: (n) => ({ tool: 'echo', args: { text: `number ${n}` } }),
    text: (n) => `number ${n}`,
    bad: { tool: 'echo', args: { text: { not: 'a text' } } },
    slow: { tool: 'wait', args: { ms: 120_000 } },
  }))

  describe(`MCP by ${name}`, () => {
    it('offers its roots and a model where the configuration says so, and declines elicitation [I2-MCP-01]', async () => {
      const asked: unknown[] = []
      const roots = [{ uri: 'file:///srv/data', name: 'data' }]
      const server = await connected(
        { ...(await config()), roots, sampling: { model: 'haiku' }, elicitation: { mode: 'auto_cancel' } },
        {},
        {
          sample: async ({ system, prompt, maxTokens, model }) => {
            asked.push({ system, prompt, maxTokens, model })
            return { text: 'Paris', model: 'anthropic.haiku' }
          },
        },
      )
      // A stateless server of the old era cannot ask back.
      const [model, rootList, user] = await Promise.all(
        ['ask_model', 'ask_roots', 'ask_user'].map(async (tool) => textOf(await call(server, tool))),
      )
      expect(asked).toEqual([{ system: 'Be brief.', prompt: 'What is the capital of France?', maxTokens: 100, model: 'haiku' }])
      expect([model, rootList, user]).toEqual([
        expect.stringContaining('Paris'),
        expect.stringContaining('file:///srv/data'),
        expect.stringContaining('decline'),
      ])
    })

    it('offers none of it otherwise', async () => {
      const server = await connected(await config())
      for (const tool of ['ask_model', 'ask_roots', 'ask_user']) {
        const result = await call(server, tool).catch((error) => error)
        expect(result.isError === true || result.code === 'UPSTREAM').toBe(true)
      }
    })

    it('maps every kind of content, and a failure', async () => {
      const server = await connected(await config())
      expect((await call(server, 'everything')).content).toEqual([
        { type: 'text', text: 'words' },
        { type: 'image', data: 'aW1n', mimeType: 'image/png' },
        { type: 'audio', data: 'YXVk', mimeType: 'audio/wav' },
        { type: 'resource', uri: 'note://1', mimeType: 'text/plain', text: 'a note' },
        { type: 'resource', uri: 'blob://1', mimeType: 'application/zip' },
        { type: 'resource', uri: 'https://example.org/doc', mimeType: 'text/html', text: 'a document' },
      ])
      expect(await call(server, 'add', { a: 2, b: 3 })).toEqual({ isError: false, content: [{ type: 'text', text: '{"sum":5}' }] })
      expect(await call(server, 'fails')).toMatchObject({
        isError: true,
        content: [{ text: expect.stringContaining('it did not work out') }],
      })
    })

    it('cuts a result to 5 MiB and says so [part of F72]', async () => {
      const server = await connected(await config())
      const { content } = await call(server, 'big', { bytes: 3 << 20, parts: 4 })
      const texts = content.map((one) => ('text' in one ? (one.text ?? '') : ''))
      expect(Buffer.byteLength(texts.join(''))).toBeLessThan((5 << 20) + 300)
      expect(texts[1]).toMatch(/é\n\[truncated: the first 2097152 of 3145728 bytes are shown\]$/)
      expect(texts.at(-1)).toBe('[2 more parts left out: a result may hold 5 MiB]')
    })

    it('tells what its tools may do', async () => {
      const tools = await (await connected(await config())).tools(new AbortController().signal)
      const hints = Object.fromEntries(tools.map((tool) => [tool.name, tool.hints]))
      expect(hints).toMatchObject({ echo: { readOnly: true }, fails: { destructive: true }, add: {} })
    })
  })
}

describe('the filesystem server from npm', () => {
  it('works in its folder and nowhere else [I2-MCP-01] [S0-17]', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'regent-mcp-')))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, 'note.txt'), 'remember the milk')
    const server = await connected({ command: 'node', args: [filesystemServer, folder] })
    const tools = await server.tools(new AbortController().signal)
    expect(tools.find((tool) => tool.name === 'write_file')).toMatchObject({ hints: { readOnly: false, destructive: true } })
    expect(textOf(await call(server, 'read_text_file', { path: join(folder, 'note.txt') }))).toBe('remember the milk')
    await call(server, 'write_file', { path: join(folder, 'new.txt'), content: 'written' })
    expect(textOf(await call(server, 'list_directory', { path: folder }))).toContain('new.txt')
    expect(await call(server, 'read_text_file', { path: '/etc/passwd' })).toMatchObject({ isError: true })
  })

  it('takes its folders from the roots of the configuration [I2-MCP-01]', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'regent-mcp-')))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const server = await connected({ command: 'node', args: [filesystemServer], roots: [{ uri: pathToFileURL(folder).href }] })
    await expect.poll(async () => textOf(await call(server, 'list_allowed_directories'))).toContain(folder)
  })
})

describe('a server of the old era that ends at the first word of the new one', () => {
  it('is started again and greeted the old way [I2-MCP-01]', async () => {
    const server = await connected(stdioConfig('dies-at-probe'))
    expect(textOf(await call(server, 'echo', { text: 'hello' }))).toBe('hello')
  })
})

describe('tools that change', () => {
  it.each(['stdio', 'stdio-legacy'])('are told of by %s', async (mode) => {
    let changed = 0
    const server = await connected(stdioConfig(mode), {}, { onToolsChanged: () => changed++ })
    await call(server, 'grow', { name: 'brand_new' })
    await expect.poll(() => changed).toBeGreaterThan(0)
    expect((await server.tools(new AbortController().signal)).map((tool) => tool.name)).toContain('brand_new')
  })
})
