import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { toolServerConformance } from '../../../conformance/tool-server.ts'
import { call, connected, textOf } from '../../../helpers/mcp.ts'
import { pages, typed } from '../../../helpers/pages.ts'

const config = (...args: string[]) => ({ command: 'uvx', args: ['mcp-server-fetch', ...args] })
const noUvx = { baseEnv: { PATH: '/nothing-here' } }
/** The built-in fetch, allowed to reach this machine unless told otherwise. */
const fetchServer = (args: string[] = [], allowHosts: readonly string[] = ['127.0.0.1'], more: object = {}) =>
  connected({ ...config(...args), ...more }, { allowHosts }, noUvx)
toolServerConformance('built-in fetch', async () => {
  const site = await pages({ '/page': '<html><body><h1>A page</h1></body></html>', '/slow': () => {} })
  return {
    server: await fetchServer(),
    good: (n) => ({ tool: 'fetch', args: { url: `${site.url}/page?n=${n}` } }),
    text: (n) => `Contents of ${site.url}/page?n=${n}:\n# A page`,
    bad: { tool: 'fetch', args: { url: 'not a url' } },
    slow: { tool: 'fetch', args: { url: `${site.url}/slow` } },
  }
})

describe('built-in fetch', () => {
  it('stands in for uvx mcp-server-fetch where uvx is missing, and says so [I2-MCP-03]', async () => {
    const server = await fetchServer()
    expect(server.notice).toBe('built-in fetch stands in for `uvx mcp-server-fetch` (uvx is not installed)')
    const [tool] = await server.tools(new AbortController().signal)
    expect(tool).toMatchObject({ name: 'fetch', inputSchema: { required: ['url'], properties: { max_length: { default: 5000 } } } })
  })

  it.each([['--from', 'mcp-server-fetch', 'mcp-server-fetch'], ['mcp-server-fetch@latest'], ['mcp-server-fetch==2025.4.7']])(
    'is meant by uvx %s %s %s too',
    async (...args) => {
      expect((await connected({ command: 'uvx', args }, {}, noUvx)).notice).toContain('built-in')
    },
  )

  it('stands in for nothing else', async () => {
    await expect(connected({ command: 'uvx', args: ['mcp-server-git'] }, {}, noUvx)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      hint: expect.stringContaining('uv'),
    })
  })

  it('refuses clearly what only the original can', async () => {
    await expect(fetchServer(['--proxy-url', 'http://proxy:1'])).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('--proxy-url'),
      hint: expect.stringContaining('Install uv'),
    })
  })

  it('turns a page into Markdown, without what is no content', async () => {
    const html =
      '<!doctype html><html><head><title>T</title><style>x{}</style></head><body><nav>menu</nav><h2>Hi</h2><p>a <b>b</b> <a href="/c">c</a></p><ul><li>1</li></ul><script>evil()</script></body></html>'
    const site = await pages({ '/': html })
    const server = await fetchServer()
    expect(textOf(await call(server, 'fetch', { url: site.url }))).toBe(`Contents of ${site.url}/:\n## Hi\n\na **b** [c](/c)\n\n-   1`)
    expect(textOf(await call(server, 'fetch', { url: site.url, raw: true }))).toContain('<script>evil()</script>')
  })

  it('gives a long text in parts that say where the next begins', async () => {
    const text = '0123456789'.repeat(1_200)
    const site = await pages({ '/long': typed('text/plain', text) })
    const server = await fetchServer()
    const part = async (args: object) => textOf(await call(server, 'fetch', { url: `${site.url}/long`, ...args }))
    const first = await part({})
    expect(first).toContain('Content type text/plain cannot be simplified to markdown, but here is the raw content:\nContents of ')
    expect(first.endsWith('<error>Content truncated. Call the fetch tool with a start_index of 5000 to get more content.</error>')).toBe(
      true,
    )
    expect(await part({ start_index: 11_990 })).toMatch(/:\n0123456789$/)
    expect(await part({ start_index: '5', max_length: '3' })).toContain(':\n567\n\n<error>Content truncated.')
    expect(await part({ start_index: 12_000 })).toContain('<error>No more content available.</error>')
  })

  it('never cuts a character in two', async () => {
    const site = await pages({ '/': typed('text/plain; charset=utf-8', '🦊'.repeat(10)) })
    const text = textOf(await call(await fetchServer(), 'fetch', { url: site.url, max_length: 5 }))
    expect(text).toContain(':\n🦊🦊\n\n<error>Content truncated. Call the fetch tool with a start_index of 4 ')
  })

  it.each([
    { url: 'ftp://x' },
    { url: 3 },
    { url: 'http://x', max_length: 0 },
    { url: 'http://x', max_length: 1_000_000 },
    { url: 'http://x', start_index: -1 },
    { url: 'http://x', raw: 'yes' },
    {},
  ])('refuses %j', async (args) => {
    expect((await call(await fetchServer(), 'fetch', args)).isError).toBe(true)
  })

  it('reads what is compressed, or in another charset', async () => {
    const packed = (encoding: string, body: Buffer) => typed('text/plain', body, { 'content-encoding': encoding })
    const site = await pages({
      '/gzip': packed('gzip', gzipSync('from gzip')),
      '/br': packed('br', brotliCompressSync('from brotli')),
      '/latin1': typed('text/plain; charset=iso-8859-1', Buffer.from('caf\xe9', 'latin1')),
      '/bomb': packed('gzip', gzipSync(Buffer.alloc(64 << 20))),
      '/broken': packed('gzip', Buffer.from('this is not gzip')),
    })
    const server = await fetchServer()
    const get = async (path: string, args = {}) => await call(server, 'fetch', { url: site.url + path, ...args })
    expect(textOf(await get('/gzip'))).toContain('from gzip')
    expect(textOf(await get('/br'))).toContain('from brotli')
    expect(textOf(await get('/latin1'))).toContain('café')
    expect(textOf(await get('/bomb', { start_index: 5 << 20 }))).toContain('longer than 5 MiB')
    expect(await get('/broken')).toMatchObject({ isError: true })
  })

  it('tells of errors of the site, and of what is no text', async () => {
    const site = await pages({ '/image': typed('image/png', Buffer.from([137, 80])) })
    const server = await fetchServer()
    expect(textOf(await call(server, 'fetch', { url: `${site.url}/none` }))).toBe(`Failed to fetch ${site.url}/none - status code 404`)
    expect(textOf(await call(server, 'fetch', { url: `${site.url}/image` }))).toContain('image/png')
  })

  it('gives up a page that cannot be converted in time, not the agent', async () => {
    const site = await pages({ '/deep': `<html><body>${'<div>'.repeat(100_000)}x` })
    let turns = 0
    const timer = setInterval(() => turns++, 10)
    const text = textOf(await call(await fetchServer(), 'fetch', { url: `${site.url}/deep` }))
    clearInterval(timer)
    expect(text).toContain('<error>Page failed to be simplified from HTML</error>')
    expect(turns).toBeGreaterThan(50)
  })
})

describe('robots.txt', () => {
  const robots = typed('text/plain', 'User-agent: *\nDisallow: /private\n')
  const site = () => pages({ '/robots.txt': robots, '/private': '<html>secret', '/public': '<html>open' })

  it('is respected, unless the command line says otherwise', async () => {
    const { url, seen } = await site()
    const server = await fetchServer()
    expect(await call(server, 'fetch', { url: `${url}/private` })).toMatchObject({
      isError: true,
      content: [{ text: expect.stringContaining('robots.txt') }],
    })
    expect(seen.map(({ path }) => path)).toEqual(['/robots.txt'])
    expect(textOf(await call(server, 'fetch', { url: `${url}/public` }))).toContain('open')
    expect(textOf(await call(await fetchServer(['--ignore-robots-txt']), 'fetch', { url: `${url}/private` }))).toContain('secret')
  })

  it('is asked under the name of the command line', async () => {
    const { url, seen } = await site()
    await call(await fetchServer(['--user-agent=Tester/2']), 'fetch', { url: `${url}/public` })
    expect(seen.map(({ agent }) => agent)).toEqual(['Tester/2', 'Tester/2'])
  })

  it('forbids where it may not be read', async () => {
    const { url } = await pages({ '/robots.txt': (_, response) => response.writeHead(403).end(), '/': '<html>x' })
    expect(textOf(await call(await fetchServer(), 'fetch', { url }))).toContain('received status 403')
  })
})

describe('addresses of this machine and its network', () => {
  const refused = { isError: true, content: [{ text: expect.stringContaining('address of this machine or a private network') }] }

  it.each([
    'http://127.0.0.1:1/',
    'http://localhost:1/',
    'http://2130706433/',
    'http://[::1]/',
    'http://169.254.169.254/latest/meta-data/',
    'http://[64:ff9b::7f00:1]/',
  ])('are refused: %s [part of F70]', async (url) => {
    expect(await call(await fetchServer([], []), 'fetch', { url })).toMatchObject(refused)
  })

  it('are reached where a person agreed to exactly this call [part of F70]', async () => {
    const { url, seen } = await pages({ '/': '<html>inside' })
    const server = await fetchServer([], [])
    expect(await call(server, 'fetch', { url })).toMatchObject(refused)
    expect(seen).toEqual([])
    expect(textOf(await call(server, 'fetch', { url }, { approved: true }))).toContain('inside')
  })

  it('are not reached by a redirect, whoever agreed to its beginning [part of F70]', async () => {
    const target = await pages({ '/': '<html>inside' })
    const start = await pages({ '/': (_, response) => response.writeHead(302, { location: target.url }).end() })
    expect(await call(await fetchServer([], []), 'fetch', { url: start.url }, { approved: true })).toMatchObject(refused)
    expect(await call(await fetchServer([], [`127.0.0.1:${start.port}`]), 'fetch', { url: start.url })).toMatchObject(refused)
    expect(target.seen).toEqual([])
    expect(textOf(await call(await fetchServer(), 'fetch', { url: start.url }))).toContain('inside')
  })

  it('are reached by redirects at most five times, and only by http', async () => {
    const { url } = await pages({
      '/loop': (_, response) => response.writeHead(302, { location: '/loop' }).end(),
      '/file': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    })
    const server = await fetchServer()
    expect(textOf(await call(server, 'fetch', { url: `${url}/loop` }))).toContain('redirects more than 5 times')
    expect(textOf(await call(server, 'fetch', { url: `${url}/file` }))).toContain('no http or https URL')
  })
})
