// The servers that tests need: how a test finds them, what happens where they are absent, and how they are started and stopped.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { describeWith, findAll, needs } from '../helpers/services.ts'
import { plant, script } from './tree.ts'

const helper = join(import.meta.dirname, '../helpers/services.ts')

describe('finding a service', () => {
  let server: Server | undefined
  afterEach(() => server?.close())

  /** A server that answers whatever it hears with the same words. */
  const answering = async (words: string): Promise<string> => {
    server = createServer((socket) => socket.on('data', () => socket.write(words)))
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    return typeof address === 'object' && address !== null ? `redis://127.0.0.1:${address.port}` : ''
  }

  it('takes the address from the state file when the server answers', async () => {
    const url = await answering('+PONG\r\n')
    const redis = (await findAll({ redis: { urls: { url } } }, {})).get('redis')
    expect(redis).toEqual({ available: true, url, urls: { url }, reason: undefined })
  })

  it('takes the address from the environment first', async () => {
    const url = await answering('+PONG\r\n')
    const state = { redis: { urls: { url: 'redis://127.0.0.1:1' } } }
    expect((await findAll(state, { REGENT_TEST_REDIS_URL: url })).get('redis')).toMatchObject({ available: true, url })
  })

  it('is refused by a server that does not answer as one that is ready', async () => {
    const url = await answering('-LOADING Redis is loading\r\n')
    const redis = (await findAll({ redis: { urls: { url } } }, {})).get('redis')
    expect(redis).toMatchObject({ available: false, reason: expect.stringContaining('not ready') })
  })

  it('tells why there is none', async () => {
    const services = await findAll({ redis: { urls: { url: 'redis://127.0.0.1:1' } } }, {})
    expect(services.get('redis')?.reason).toContain('ECONNREFUSED')
    expect(services.get('kafka')?.reason).toContain('npm run services')
  })
})

describe('needs', () => {
  it('says of each service whether it can be used, and if not why', () => {
    const { available, url, urls, reason } = needs('rabbitmq')
    expect(available).toBe(reason === undefined)
    expect(url).toBe(urls.url)
    expect(urls.stomp).toMatch(/^stomp:/)
  })
})

describe('a suite that needs a service', () => {
  const suite = `import { expect, it } from 'vitest'
import { describeWith } from ${JSON.stringify(helper)}
it('stands alone', () => { expect(1).toBe(1) })
describeWith('redis', 'with redis', ({ url }) => { it('uses it', () => { expect(url).toBe('') }) })
`
  const tree = plant({ 'test/a.test.ts': suite })
  const absent = { REGENT_TEST_SERVICES_DIR: join(tree.root, 'nothing') }
  const run = (env: Record<string, string>) => script('scripts/check.mjs', ['--root', tree.root, '--only', 'tests'], { ...absent, ...env })
  afterAll(tree.remove)

  it('is skipped with the reason where it is absent', async () => {
    const { code, output, lines } = await run({})
    expect(output).toContain('test/a.test.ts: with redis uses it: needs redis: not running')
    expect(lines.at(-1)).toBe('1 passed, 0 failed, 1 skipped')
    expect(code).toBe(0)
  })

  it('fails where services are required', async () => {
    const { code, lines } = await run({ REGENT_TEST_SERVICES: 'required' })
    expect(lines.at(-1)).toBe('1 passed, 1 failed')
    expect(code).toBe(1)
  })
})

describeWith('redis', 'npm run services', () => {
  const folder = mkdtempSync(join(tmpdir(), 'regent-services-test-'))
  const services = (...args: string[]) => script('scripts/services/services.mjs', args, { REGENT_TEST_SERVICES_DIR: folder })
  const state = () => JSON.parse(readFileSync(join(folder, 'state.json'), 'utf8')).services.redis
  const listeners = () => readFileSync('/proc/net/tcp', 'utf8').toUpperCase()
  afterAll(async () => {
    await services('stop')
    rmSync(folder, { recursive: true, force: true })
  })

  it('starts a server on loopback, finds it running, and stops all of it [I2-PRJ-03] [I4-BUS-14]', async () => {
    const first = await services('start', 'redis')
    expect(first.output).toMatch(/^redis +started +\d+\.\d s +redis:\/\/127\.0\.0\.1:\d+$/m)
    const { urls, processes } = state()
    const port = Number(new URL(urls.url).port).toString(16).toUpperCase().padStart(4, '0')
    expect(listeners()).toContain(`0100007F:${port} 00000000:0000 0A`)
    expect(listeners()).not.toContain(`00000000:${port} 00000000:0000 0A`)

    const again = await services('start', 'redis')
    expect(again.output).toMatch(/^redis +running +redis:/m)
    expect(state().processes).toEqual(processes)

    const stopped = await services('stop')
    expect(stopped).toMatchObject({ code: 0, output: expect.stringMatching(/^redis +stopped/m) })
    expect(existsSync(`/proc/${processes[0].pid}/exe`)).toBe(false)
    expect(listeners()).not.toContain(`0100007F:${port} 00000000:0000 0A`)
    expect(existsSync(join(folder, 'state.json'))).toBe(false)
  })

  it('starts again after the server was killed behind its back', async () => {
    await services('start', 'redis')
    const [killed] = state().processes
    process.kill(killed.pid, 'SIGKILL')
    expect((await services('start', 'redis')).output).toMatch(/^redis +started/m)
    expect(state().processes).not.toEqual([killed])
    expect((await services('stop')).code).toBe(0)
  })

  it('refuses names and commands that it does not know', async () => {
    expect(await services('start', 'oracle')).toMatchObject({ code: 2, output: expect.stringContaining('no service named oracle') })
    expect(await services('begin')).toMatchObject({ code: 2, output: expect.stringContaining('no command named begin') })
  })
})
