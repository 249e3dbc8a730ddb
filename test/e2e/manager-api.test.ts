import { execFile } from 'node:child_process'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

const run = promisify(execFile)

/** A line of the README, sent by the real curl to where this test's Regent listens. */
async function curl(regent: Regent, ...args: string[]): Promise<{ status: number; body: unknown }> {
  const line = args.map((arg) => arg.replace('http://localhost:8080', regent.url.replace('127.0.0.1', 'localhost')))
  const { stdout } = await run('curl', ['-s', '-w', '\n%{http_code}', ...line])
  const end = stdout.lastIndexOf('\n')
  return { status: Number(stdout.slice(end + 1)), body: JSON.parse(stdout.slice(0, end)) }
}

const create = (body: object) => [
  '-X',
  'POST',
  'http://localhost:8080/agents',
  '-H',
  'Content-Type: application/json',
  '-d',
  JSON.stringify(body),
]
const named = 'http://localhost:8080/agents/crypto_trader'

describe('the agent manager as its README prints it', () => {
  it('[I2-API-01] [S0-01] [S0-02] [S0-03] [S0-04] [S0-05] [S0-06] [S0-07] [S0-08] [S0-11] creates, lists, shows, starts, stops and deletes by curl', async () => {
    const regent = await Regent.start()
    const file = join(regent.project, 'agents/alice/agents/crypto_trader_agent.mjs')
    expect(await curl(regent, ...create(cryptoTrader()))).toEqual({
      status: 200,
      body: { message: "Agent 'crypto_trader' created successfully for user 'alice'", file },
    })
    const item = { agent: 'alice/crypto_trader', file_exists: true, is_active_in_background: false, status: 'STOPPED', pid: null }
    expect(await curl(regent, 'http://localhost:8080/agents')).toMatchObject({ status: 200, body: [item] })
    expect(await curl(regent, 'http://localhost:8080/agents?username=bob')).toEqual({ status: 200, body: [] })
    const details = { name: 'crypto_trader', username: 'alice', status: 'STOPPED', file, exists: true }
    expect(await curl(regent, `${named}?username=alice`)).toMatchObject({ status: 200, body: details })
    const started = await curl(regent, '-X', 'POST', `${named}/start?username=alice`)
    expect(started).toMatchObject({
      status: 200,
      body: {
        message: "Agent 'crypto_trader' started successfully for user 'alice'",
        status: expect.stringMatching(/^alice_crypto_trader_agent\s+RUNNING\s+pid \d+, uptime 0:00:0\d$/),
        start_output: 'alice_crypto_trader_agent: started\n',
      },
    })
    const listed = await curl(regent, 'http://localhost:8080/agents?username=alice')
    expect(listed).toMatchObject({
      status: 200,
      body: [{ ...item, is_active_in_background: true, status: 'RUNNING', pid: expect.any(Number) }],
    })
    expect(await curl(regent, '-X', 'POST', `${named}/stop?username=alice`)).toEqual({
      status: 200,
      body: { message: "Agent 'crypto_trader' stopped successfully for user 'alice'" },
    })
    expect(await curl(regent, '-X', 'DELETE', `${named}?username=alice`)).toEqual({
      status: 200,
      body: { message: "Agent 'crypto_trader' deleted successfully for user 'alice'" },
    })
    expect(existsSync(file)).toBe(false)
    expect(await curl(regent, 'http://localhost:8080/health')).toMatchObject({ status: 200, body: { status: 'healthy' } })
  })

  it('[S0-10] [S0-12] [S0-14] [part of S0-29] keeps each user apart: folders, names, programs', async () => {
    const regent = await Regent.start()
    for (const username of ['alice', 'a_b']) expect((await curl(regent, ...create({ ...cryptoTrader(), username }))).status).toBe(200)
    expect(await curl(regent, ...create(cryptoTrader()))).toEqual({
      status: 400,
      body: { detail: "Agent 'crypto_trader' already exists for user 'alice'" },
    })
    for (const username of ['alice', 'a_b']) {
      const ini = readFileSync(join(regent.project, `agents/${username}/supervisor/crypto_trader.ini`), 'utf8')
      expect(ini).toContain(`[program:${username}_crypto_trader_agent]`)
    }
    expect(await curl(regent, 'http://localhost:8080/agents?username=a_b')).toMatchObject({ body: [{ agent: 'a_b/crypto_trader' }] })
  })

  it('[part of S0-31] writes what agents print to the log of their user', async () => {
    const regent = await Regent.start()
    await curl(regent, ...create(cryptoTrader({ backend: 'memory', channel_name: 'c' })))
    await curl(regent, '-X', 'POST', `${named}/start?username=alice`)
    const log = join(regent.project, 'agents/alice/all.log')
    await until(() => existsSync(log) && readFileSync(log, 'utf8').includes('[crypto_trader]'), 'a line of the agent')
    expect(statSync(log).size).toBeGreaterThan(0)
  })

  it('[S0-09] answers /docs and /openapi.json', async () => {
    const regent = await Regent.start()
    const page = await fetch(`${regent.url}/docs`)
    expect(page.status).toBe(200)
    expect(page.headers.get('content-type')).toContain('text/html')
    const { body } = await regent.fetch('/openapi.json')
    expect(body.openapi).toBe('3.1.0')
    expect(Object.keys(body.paths as object)).toEqual(expect.arrayContaining(['/agents', '/agents/{agent_name}/start', '/api/v1/agents']))
  })
})
