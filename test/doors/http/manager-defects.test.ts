import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { newAgent } from '../../helpers/fake-core.ts'
import { ALICE, as, BOB, openDoor, READER } from '../../helpers/http-door.ts'
import { managerDoor, running, smallConfig } from '../../helpers/manager-door.ts'

const example = JSON.parse(readFileSync(new URL('../../fixtures/readme-agent.json', import.meta.url), 'utf8')) as Record<string, unknown>

describe('users', () => {
  const calls: readonly (readonly [string, string])[] = [
    ['GET', '/agents/news?username=bob'],
    ['POST', '/agents/news/start?username=bob'],
    ['POST', '/agents/news/stop?username=bob'],
    ['DELETE', '/agents/news?username=bob'],
    ['GET', '/agents?username=bob'],
  ]

  it.each(calls)('%s %s with another user’s token is 404, whether it exists or not', async (method, url) => {
    const { call, fake } = managerDoor(newAgent('bob', 'news'))
    const headers = as(ALICE)
    const existing = await call(method, url, { headers })
    fake.agents.clear()
    expect(existing).toEqual(await call(method, url, { headers }))
    expect(existing[0]).toBe(404)
    expect(fake.changes).toEqual([])
  })

  it('create only for themselves and see only theirs', async () => {
    const { call, fake } = managerDoor(newAgent('bob', 'secret_plan'))
    const payload = { ...smallConfig, username: 'bob' }
    expect(await call('POST', '/agents', { headers: as(ALICE), payload })).toEqual([
      404,
      { detail: "Agent 'news' not found for user 'bob'" },
    ])
    expect(await call('GET', '/agents', { headers: as(ALICE) })).toEqual([200, []])
    expect(await call('GET', '/agents', { headers: as(BOB) })).toMatchObject([200, [{ agent: 'bob/secret_plan' }]])
    expect(fake.changes).toEqual([])
  })

  it('who may only read change nothing', async () => {
    const { call, fake } = managerDoor(newAgent('alice', 'news'))
    for (const [method, url] of [
      ['POST', '/agents/news/start?username=alice'],
      ['POST', '/agents/news/stop?username=alice'],
      ['DELETE', '/agents/news?username=alice'],
    ] as const)
      expect((await call(method, url, { headers: as(READER) }))[0]).toBe(403)
    expect(fake.changes).toEqual([])
  })

  it('without a token are told how to send one, in this dialect', async () => {
    const { call } = managerDoor()
    expect(await call('GET', '/agents', { headers: {} })).toEqual([401, { detail: expect.stringContaining('Authorization: Bearer TOKEN') }])
  })
})

describe('the defects of the original manager are absent', () => {
  it('1 and 2: the list and the details have the pid and the state of each agent, also beside stopped ones', async () => {
    const { call } = managerDoor(running(newAgent('bo', 'news')), newAgent('bo', 'other'), { ...newAgent('bo', 'third'), state: 'FATAL' })
    const [status, list] = await call('GET', '/agents?username=bo')
    expect(status).toBe(200)
    expect((list as { status: string; pid: number | null }[]).map((item) => [item.status, item.pid])).toEqual([
      ['RUNNING', 4242],
      ['STOPPED', null],
      ['FATAL', null],
    ])
    expect(await call('GET', '/agents/third?username=bo')).toMatchObject([200, { status: 'FATAL' }])
  })

  it('3: users and agents whose names hold _ and _agent are told apart', async () => {
    const { call } = managerDoor(newAgent('a_b', 'c_agent_d'), newAgent('a', 'b_c_agent_d'))
    expect(await call('GET', '/agents/c_agent_d?username=a_b')).toMatchObject([200, { name: 'c_agent_d', username: 'a_b' }])
    expect(await call('GET', '/agents?username=a')).toMatchObject([200, [{ agent: 'a/b_c_agent_d' }]])
  })

  it('4: names that could leave their folder or reach a shell are refused', async () => {
    const { call, fake } = managerDoor()
    for (const name of ['../x', '..', 'a/b', 'a b', 'a;id', '$(id)', 'a\nb', 'a\\b', '.git', '', 'x'.repeat(65), 'аlice']) {
      expect((await call('POST', '/agents', { payload: { ...smallConfig, name } }))[0]).toBe(422)
      expect((await call('POST', '/agents', { payload: { ...smallConfig, username: name } }))[0]).toBe(422)
      expect((await call('GET', `/agents/news?username=${encodeURIComponent(name)}`))[0]).toBe(422)
    }
    expect(fake.seen).toEqual([])
  })

  it('5 and 6: text is handed over as it is, and the request is validated', async () => {
    const { call, fake } = managerDoor()
    // biome-ignore lint/suspicious/noTemplateCurlyInString: it must stay as it is
    const initial_task = 'say """true, false and null"""\n${x} PLACEHOLDER_JSON_CONFIG'
    expect((await call('POST', '/agents', { payload: { ...smallConfig, initial_task } }))[0]).toBe(200)
    expect(fake.seen[0]?.input).toMatchObject({ agent: { initial_task } })
  })

  it('7: an agent that never ran can be deleted', async () => {
    const { call } = managerDoor(newAgent('bo', 'news'))
    expect((await call('DELETE', '/agents/news?username=bo'))[0]).toBe(200)
  })

  it('8: a slow start holds up nobody', async () => {
    const agent = newAgent('bo', 'slow')
    const { call, fake } = managerDoor(agent, newAgent('bo', 'news'))
    let finish = (_: object): void => {}
    fake.answers.set('agents.start', () => new Promise((resolve) => (finish = resolve)))
    const slow = call('POST', '/agents/slow/start?username=bo')
    expect((await call('GET', '/agents/news?username=bo'))[0]).toBe(200)
    finish(running(agent))
    expect((await slow)[0]).toBe(200)
  })

  it('10: the user is who the token says', async () => {
    const { call } = managerDoor(newAgent('bob', 'news'))
    expect((await call('DELETE', '/agents/news?username=bob', { headers: as(ALICE) }))[0]).toBe(404)
    expect((await call('DELETE', '/agents/news?username=bob', { headers: as(BOB) }))[0]).toBe(200)
  })
})

describe('with curl, as printed', () => {
  it('the README’s lines work without a token [S0-08]', async () => {
    const { port } = await openDoor()
    const curl = async (...args: readonly string[]) => (await promisify(execFile)('curl', ['-s', '-w', ' %{http_code}', ...args])).stdout
    const at = `http://localhost:${port}`
    expect(await curl('-X', 'POST', `${at}/agents`, '-H', 'Content-Type: application/json', '-d', JSON.stringify(example))).toMatch(
      /created successfully.* 200$/,
    )
    expect(await curl(`${at}/agents`)).toMatch(/"alice\/crypto_trader".* 200$/)
    expect(await curl(`${at}/agents?username=alice`)).toMatch(/"alice\/crypto_trader".* 200$/)
    expect(await curl('-X', 'POST', `${at}/agents/crypto_trader/start?username=alice`)).toMatch(/started successfully.* 200$/)
    expect(await curl(`${at}/agents/crypto_trader?username=alice`)).toMatch(/"RUNNING".* 200$/)
    expect(await curl('-X', 'POST', `${at}/agents/crypto_trader/stop?username=alice`)).toMatch(/stopped successfully.* 200$/)
    expect(await curl('-X', 'DELETE', `${at}/agents/crypto_trader?username=alice`)).toMatch(/deleted successfully.* 200$/)
    expect(await curl(`${at}/health`)).toMatch(/"healthy".* 200$/)
  })
})
