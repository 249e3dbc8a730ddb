import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { statusLine } from '../../../src/doors/shared/supervisorctl-lines.ts'
import { uptime } from '../../../src/doors/shared/uptime.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { newAgent } from '../../helpers/fake-core.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { createDoor } from '../../helpers/http-door.ts'
import { managerDoor, running } from '../../helpers/manager-door.ts'

const example = JSON.parse(readFileSync(new URL('../../fixtures/readme-agent.json', import.meta.url), 'utf8')) as Record<string, unknown>

describe('creating', () => {
  it('answers the README’s JSON with 200, a message and the file', async () => {
    const { call, fake } = managerDoor()
    expect(await call('POST', '/agents', { payload: example })).toEqual([
      200,
      {
        message: "Agent 'crypto_trader' created successfully for user 'alice'",
        file: '/project/agents/alice/agents/crypto_trader_agent.mjs',
      },
    ])
    const { username, ...rest } = example
    expect(fake.seen[0]).toMatchObject({ name: 'agents.create', input: { agent: { kind: 'team', owner: username, ...rest } } })
  })

  it('keeps a null task and gives no model to a subagent that has none', async () => {
    const { call, fake } = managerDoor()
    const body = {
      username: 'bo',
      name: 'news',
      subagents: [{ name: 'reader', instruction: 'Read feeds' }],
      json_config: {},
      initial_task: null,
    }
    expect((await call('POST', '/agents', { payload: body }))[0]).toBe(200)
    expect(fake.seen[0]?.input).toEqual({
      agent: { kind: 'team', owner: 'bo', name: 'news', subagents: body.subagents, json_config: {}, initial_task: null },
    })
  })

  it('refuses a name that the user has with 400; another user may have it', async () => {
    const { call } = managerDoor(newAgent('bo', 'news'))
    const body = { username: 'bo', name: 'news', subagents: [], json_config: {} }
    expect(await call('POST', '/agents', { payload: body })).toEqual([400, { detail: "Agent 'news' already exists for user 'bo'" }])
    expect((await call('POST', '/agents', { payload: { ...body, username: 'alice' } }))[0]).toBe(200)
  })

  it('says that the template is missing', async () => {
    const { call, fake } = managerDoor()
    fake.answers.set('agents.create', () => {
      throw new RegentError('NOT_FOUND', 'no template', { details: { what: 'template' } })
    })
    expect(await call('POST', '/agents', { payload: example })).toEqual([500, { detail: 'Agent template file not found' }])
  })

  it('ignores unknown keys, as ever, but none that would pretend to be Regent’s record', async () => {
    const { call, fake } = managerDoor()
    expect((await call('POST', '/agents', { payload: { ...example, comment: 'x', version: 2 } }))[0]).toBe(200)
    expect(JSON.stringify(fake.seen[0]?.input)).not.toContain('comment')
    for (const key of ['pid', 'state', 'owner', 'is_admin', 'id', 'desired', 'runtime', 'limits']) {
      const [status, body] = await call('POST', '/agents', { payload: { ...example, name: 'other', [key]: 1 } })
      expect([status, body]).toEqual([
        422,
        { detail: [{ type: 'extra_forbidden', loc: ['body', key], msg: 'Extra inputs are not permitted', input: 1 }] },
      ])
    }
    expect(fake.changes).toEqual(['agents.create'])
  })
})

describe('listing', () => {
  it('shows each agent with its real state, under the keys of both dialects', async () => {
    const news = running(newAgent('bo', 'news'))
    const { call } = managerDoor(news, newAgent('alice', 'web', 'command'))
    expect(await call('GET', '/agents')).toEqual([
      200,
      [
        {
          agent: 'bo/news',
          file_exists: false,
          is_active_in_background: true,
          status: 'RUNNING',
          pid: 4242,
          id: news.id,
          name: 'news',
          role: null,
          inbox_topic: 'agent:news',
          status_endpoint: null,
          last_seen_at: 0,
          state: 'RUNNING',
        },
      ],
    ])
  })

  it('of one user', async () => {
    const { call } = managerDoor(newAgent('bo', 'news'), newAgent('alice', 'news'))
    expect(await call('GET', '/agents?username=alice')).toMatchObject([
      200,
      [{ agent: 'alice/news', status: 'STOPPED', pid: null, is_active_in_background: false }],
    ])
    expect(await call('GET', '/agents?username=nobody')).toEqual([200, []])
    expect(((await call('GET', '/agents?username='))[1] as object[]).length).toBe(2)
  })

  it('goes through every page', async () => {
    const { call } = managerDoor(...Array.from({ length: 1234 }, (_, at) => newAgent('bo', `n${at}`)))
    expect(((await call('GET', '/agents'))[1] as object[]).length).toBe(1234)
  })
})

describe('details', () => {
  it('are the five keys, and exists tells of the file', async () => {
    const file = join(temporaryFolder(), 'news_agent.mjs')
    const { call } = managerDoor({ ...newAgent('bo', 'news'), file })
    expect(await call('GET', '/agents/news?username=bo')).toEqual([
      200,
      { name: 'news', username: 'bo', status: 'STOPPED', file, exists: false },
    ])
    await mkdir(dirname(file), { recursive: true })
    await writeFile(file, '')
    expect(await call('GET', '/agents/news?username=bo')).toMatchObject([200, { exists: true }])
    expect(await call('GET', '/agents?username=bo')).toMatchObject([200, [{ file_exists: true }]])
  })

  it('of nobody’s agent are 404', async () => {
    const { call } = managerDoor(newAgent('bo', 'news'))
    expect(await call('GET', '/agents/news?username=alice')).toEqual([404, { detail: "Agent 'news' not found for user 'alice'" }])
  })

  it('are found by id as well; words of another dialect are not names', async () => {
    const news = newAgent('bo', 'news')
    const { call } = managerDoor(news)
    expect(await call('GET', `/agents/${news.id}`)).toMatchObject([200, { name: 'news', username: 'bo' }])
    expect((await call('GET', '/agents/00000000-0000-4000-8000-000000000000'))[0]).toBe(404)
    expect((await call('GET', '/agents/runbooks'))[0]).toBe(501)
    expect((await call('GET', '/agents/runbooks?username=bo'))[0]).toBe(404)
  })
})

describe('starting', () => {
  const url = '/agents/crypto_trader/start?username=alice'

  it('waits for the outcome and answers as supervisorctl would print it', async () => {
    const { call, fake } = managerDoor(newAgent('alice', 'crypto_trader'))
    expect(await call('POST', url)).toEqual([
      200,
      {
        message: "Agent 'crypto_trader' started successfully for user 'alice'",
        status: 'alice_crypto_trader_agent        RUNNING   pid 4242, uptime 0:00:01',
        start_output: 'alice_crypto_trader_agent: started\n',
      },
    ])
    expect(fake.seen.at(-1)).toMatchObject({ name: 'agents.start', input: { agent: 'alice/crypto_trader', wait: true } })
  })

  it('of a running one succeeds and says so', async () => {
    const { call } = managerDoor(running(newAgent('alice', 'crypto_trader')))
    expect(await call('POST', url)).toMatchObject([200, { start_output: 'alice_crypto_trader_agent: ERROR (already started)\n' }])
  })

  it('of nobody’s agent is 404, naming the file', async () => {
    const { call } = managerDoor(newAgent('bo', 'crypto_trader'))
    expect(await call('POST', url)).toEqual([404, { detail: "Agent file 'crypto_trader_agent.mjs' not found for user 'alice'" }])
  })

  it.each<readonly [RegentError, number, string]>([
    [
      new RegentError('START_FAILED', 'exited with code 3'),
      500,
      "Failed to start agent 'crypto_trader' for user 'alice': Command 'supervisorctl start alice_crypto_trader_agent' returned non-zero exit status 7. Error: exited with code 3. Output: alice_crypto_trader_agent: ERROR (spawn error)",
    ],
    [
      new RegentError('TIMED_OUT', 'still starting'),
      500,
      "Unexpected error starting agent 'crypto_trader' for user 'alice': still starting",
    ],
    [new RegentError('NOT_FOUND', 'no file'), 404, "Agent file 'crypto_trader_agent.mjs' not found for user 'alice'"],
    [new RegentError('UNAVAILABLE', 'the store is down'), 503, 'the store is down'],
  ])('fails as told: %s', async (error, status, detail) => {
    const { call, fake } = managerDoor(newAgent('alice', 'crypto_trader'))
    fake.answers.set('agents.start', () => {
      throw error
    })
    expect(await call('POST', url)).toEqual([status, { detail }])
  })

  it('that ends in FATAL failed', async () => {
    const agent = newAgent('alice', 'crypto_trader')
    const { call, fake } = managerDoor(agent)
    fake.answers.set('agents.start', () => ({ ...agent, state: 'FATAL', reason: 'exited too quickly' }))
    expect(await call('POST', url)).toMatchObject([500, { detail: expect.stringContaining('Error: exited too quickly') }])
  })
})

describe('stopping and deleting', () => {
  it('answer after the outcome', async () => {
    const { call, fake } = managerDoor(running(newAgent('bo', 'news')))
    expect(await call('POST', '/agents/news/stop?username=bo')).toEqual([
      200,
      { message: "Agent 'news' stopped successfully for user 'bo'" },
    ])
    expect(fake.seen.at(-1)).toMatchObject({ name: 'agents.stop', input: { agent: 'bo/news', wait: true } })
    expect(await call('DELETE', '/agents/news?username=bo')).toEqual([200, { message: "Agent 'news' deleted successfully for user 'bo'" }])
    expect(fake.seen.at(-1)).toMatchObject({ name: 'agents.delete', input: { agent: 'bo/news', wait: true } })
    expect(fake.agents.size).toBe(0)
  })

  it.each([
    ['POST', '/agents/news/stop?username=bo', 'agents.stop'],
    ['DELETE', '/agents/news?username=bo', 'agents.delete'],
  ])('%s %s: unknown is 404, a failure 500', async (method, url, operation) => {
    const { call, fake } = managerDoor()
    expect(await call(method, url)).toEqual([404, { detail: "Agent 'news' not found for user 'bo'" }])
    fake.agents.set('1', newAgent('bo', 'news'))
    fake.answers.set(operation, () => {
      throw new RegentError('INTERNAL', 'pid 7 lives on')
    })
    expect(await call(method, url)).toEqual([500, { detail: 'Failed to stop agent: pid 7 lives on' }])
  })

  it('does not call it stopped while something lives on', async () => {
    const agent = running(newAgent('bo', 'news'))
    const { call, fake } = managerDoor(agent)
    fake.answers.set('agents.stop', () => ({ ...agent, survivors: [7, 8] }))
    expect(await call('POST', '/agents/news/stop?username=bo')).toEqual([500, { detail: 'Failed to stop agent: still alive: pid 7, 8' }])
  })
})

describe('health', () => {
  it('is healthy, with more beside [S0-08]', async () => {
    const { call } = managerDoor()
    expect(await call('GET', '/health')).toEqual([
      200,
      { status: 'healthy', ts: expect.any(Number), service: 'regent', checks: { store: 'ok' } },
    ])
  })

  it('shows that nobody is asked for a token', async () => {
    const { app } = createDoor({ gate: { auth: 'none' } })
    expect((await app.inject({ url: '/health' })).json()).toMatchObject({ status: 'healthy', auth: 'none' })
  })
})

describe('a line of supervisorctl status', () => {
  it.each([
    [0, '0:00:00'],
    [3_661_999, '1:01:01'],
    [86_400_000, '1 day, 0:00:00'],
    [200_000_000, '2 days, 7:33:20'],
  ])('uptime of %d ms', (ms, text) => expect(uptime(ms)).toBe(text))

  it('keeps its columns', () => {
    const agent = newAgent('bo', 'news')
    expect(statusLine('bo_news_agent', { ...agent, state: 'STARTING' })).toBe('bo_news_agent                    STARTING')
    expect(statusLine('bo_news_agent', { ...agent, reason: 'Not started' })).toBe('bo_news_agent                    STOPPED   Not started')
  })
})
