import { readFileSync, statSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { readTeam, secretsIn } from '../../src/runner/definition.ts'
import { createLog, type LogSettings, redactor } from '../../src/runner/log.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { until } from '../helpers/until.ts'

const secretOf = (key: string): string => `$\{secret:${key}}`

describe('a definition', () => {
  it('uses the configured model for whoever names none', () => {
    const subagents = [
      { name: 'a', instruction: '' },
      { name: 'b', instruction: '', model: 'opus' },
    ]
    const spec = readTeam({ name: 'crew', subagents, config: {} }, {}, 'offline')
    expect([spec.config.default_model, ...spec.subagents.map(({ model }) => model)]).toEqual(['offline', 'offline', 'opus'])
    const own = readTeam({ name: 'crew', subagents, config: { default_model: 'sonnet' } }, {}, 'offline')
    expect([own.config.default_model, ...own.subagents.map((member) => member.model)]).toEqual(['sonnet', 'sonnet', 'opus'])
    expect(readTeam({ name: 'crew', subagents, config: {} }, {}).subagents[0]?.model).toBe('haiku')
  })

  it('gets its secrets where a whole text refers to one, and nowhere else', () => {
    const config = {
      anthropic: { api_key: secretOf('a.key') },
      mcp: { servers: { s: { headers: { authorization: secretOf('gone') }, command: `x ${secretOf('a.key')}` } } },
    }
    const subagents = [{ name: 'a', instruction: secretOf('a.key') }]
    const spec = readTeam({ name: 'crew', subagents, config }, { 'a.key': 'sk-1' })
    expect(spec.config.anthropic?.api_key).toBe('sk-1')
    expect(spec.config.mcp?.servers.s).toMatchObject({ headers: { authorization: '' }, command: `x ${secretOf('a.key')}` })
    expect(spec.subagents[0]?.instruction).toBe(secretOf('a.key'))
    expect(spec.missingSecrets).toEqual(['gone'])
  })

  it('has the defaults of the contract, and leaves out subagents without a name [S0-15]', () => {
    const spec = readTeam({ name: 'crew', subagents: [{ name: 'a', instruction: 'i' }, { instruction: 'nameless' }], config: {} }, {})
    expect(spec.subagents).toEqual([{ name: 'a', instruction: 'i', servers: [], model: 'haiku' }])
    expect(spec.config.default_model).toBe('haiku')
  })

  it('tells its secrets apart, so that they can be masked', () => {
    const config = {
      anthropic: { api_key: 'sk-1' },
      mcp: { servers: { s: { env: { X_TOKEN: 't-1', HOME: '/h' }, headers: { Authorization: 'b-1' } } } },
    }
    expect(secretsIn(config)).toEqual(['sk-1', 't-1', 'b-1'])
  })

  it('is refused with the field that is wrong', () => {
    const refused = (subagents: unknown[], config: unknown): unknown => {
      try {
        return readTeam({ name: 'crew', subagents, config }, {})
      } catch (error) {
        return error
      }
    }
    expect(refused([{ name: 'a' }], {})).toMatchObject({ code: 'INVALID', message: expect.stringContaining('subagents.0.instruction') })
    expect(refused([], { default_model: 7 })).toMatchObject({ code: 'INVALID', message: expect.stringContaining('config.default_model') })
    expect(
      refused(
        [
          { name: 'a', instruction: '' },
          { name: 'A', instruction: '' },
        ],
        {},
      ),
    ).toMatchObject({ code: 'INVALID' })
  })
})

describe('the log', () => {
  const setup = (settings: Partial<LogSettings>, dir = temporaryFolder()) => {
    const lines: string[] = []
    const redact = redactor(['sk-secret-1', 'short'])
    const log = createLog({
      name: 'crew',
      settings: { level: 'info', type: 'console', ...settings },
      dir,
      redact,
      stderr: (line) => lines.push(line),
    })
    return { log, lines, dir }
  }

  it('[S0-20] writes lines of its level and above, without secrets, colours or lines that are not its own', () => {
    const { log, lines } = setup({ level: 'warning' })
    log.info({}, 'not told')
    log.warn({ key: 'sk-secret-1', text: 'a\nb\u001b[31m', deep: { list: [1] } }, 'told\r\nfake line')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^\d{4}-\S+Z warning told\\x0d\\x0afake line key="\*{3}" text="a\\nb\\u001b\[31m" deep=\{"list":\[1\]\}$/)
  })

  it('is silent where it is told to be', () => {
    const { log, lines } = setup({ type: 'none' })
    log.error({}, 'x')
    expect(lines).toEqual([])
  })

  it('goes to a bounded file of JSON lines', () => {
    const { log, dir } = setup({ type: 'file' })
    const path = join(dir, 'crew.jsonl')
    log.child({ part: 'link' }).info({ key: 'sk-secret-1' }, 'hello')
    expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({
      type: 'info',
      name: 'crew',
      message: 'hello',
      data: { part: 'link', key: '***' },
    })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    for (let line = 0; line < 250; line++) log.info({ text: 'x'.repeat(100_000) }, 'long')
    expect(statSync(path).size).toBeLessThanOrEqual(10 * 1024 * 1024)
    expect(statSync(`${path}.1`).size).toBeLessThanOrEqual(10 * 1024 * 1024)
  })

  it('says on stderr when its file cannot be written', () => {
    const { log, lines } = setup({ type: 'file', path: '/proc/nothing/here.jsonl' })
    log.info({}, 'hello')
    expect(lines[0]).toContain('hello')
  })

  it('is posted in batches where it has an address', async () => {
    const bodies: string[] = []
    const server = createHttpServer((request, response) => {
      request.on('data', (piece) => bodies.push(String(piece)))
      request.on('end', () => response.end('ok'))
    })
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
    onTestFinished(() => void server.close())
    const { log, lines } = setup({ type: 'http', http_endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/logs` })
    log.info({}, 'one sk-secret-1')
    log.info({}, 'two')
    await until(() => bodies.length > 0, 'the batch')
    expect(JSON.parse(bodies.join(''))).toMatchObject([{ message: 'one ***' }, { message: 'two' }])
    expect(lines).toEqual([])
  })
})
