import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'

const canary = 'sk-ant-canary-7f3a9c'

/** Every file below a folder that holds the text, by its path in it. */
function filesWith(text: string, root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => contentOf(file).includes(text))
    .map((file) => file.slice(root.length + 1))
}

/** Empty for one that is gone since it was listed: Regent works meanwhile, and its wrappers leave and take small files. */
function contentOf(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0)
    throw error
  }
}

/** Pids in whose argv, or environment, the text stands. */
function processesWith(text: string, what: 'cmdline' | 'environ'): string[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/${what}`).includes(text)
      } catch {
        return false
      }
    })
}

describe('a secret in the posted JSON', () => {
  it('[I2-SEC-01] [S0-38] [P10] [F66] is found in the 0600 store and the one agent alone', async () => {
    const regent = await Regent.start()
    const config = cryptoTrader({ backend: 'memory', channel_name: 'c' })
    const json = { ...(config.json_config as object), anthropic: { api_key: canary, base_url: 'http://127.0.0.1:9' } }
    const made = await regent.post('/agents', { ...config, initial_task: null, json_config: json })
    expect(made.status).toBe(200)
    await regent.post('/agents/crypto_trader/start?username=alice')
    await regent.post('/api/v1/agents/crypto_trader/messages', { content: 'hi', wait: true, timeout: 1000 })
    const shown = await Promise.all(
      ['/agents', '/api/v1/agents', '/api/v1/agents/crypto_trader', '/api/v1/events/history', '/api/v1/status'].map((path) =>
        regent.fetch(path),
      ),
    )
    expect(JSON.stringify(shown)).not.toContain(canary)
    expect((await regent.run('show', 'crypto_trader', '--json')).stdout).toContain('***')
    const [row] = await regent.json<{ id: string; pid: number }[]>('ps')
    expect(filesWith(canary, regent.home)).toEqual([`secrets/${row?.id}.json`])
    expect(statSync(join(regent.home, 'secrets', `${row?.id}.json`)).mode & 0o777).toBe(0o600)
    expect(filesWith(canary, join(regent.project, 'agents/alice'))).toEqual([])
    expect(processesWith(canary, 'cmdline')).toEqual([])
    expect(processesWith(canary, 'environ')).toEqual([String(row?.pid)])
    expect(regent.log).not.toContain(canary)
    expect(regent.log).not.toContain(regent.token)
    expect((await regent.run('logs', 'crypto_trader')).stdout).not.toContain(canary)
    await regent.run('rm', '-y', 'crypto_trader')
    expect(filesWith(canary, regent.home)).toEqual([])
  })

  it("[P10] Regent's own token and keys reach no agent", async () => {
    const regent = await Regent.start({
      ANTHROPIC_API_KEY: canary,
      AWS_SECRET_ACCESS_KEY: 'aws-canary',
      LD_PRELOAD_X: 'x',
      NODE_OPTIONS: '',
    })
    await regent.run('run', 'env', '--startsecs', '0', '--wait', '--', 'sh', '-c', 'env; sleep 600')
    const { stdout } = await regent.run('logs', 'env')
    expect(stdout).toContain('REGENT_RUN_ID=')
    for (const word of [canary, 'aws-canary', regent.token, 'LD_PRELOAD_X', 'REGENT_HOME']) expect(stdout).not.toContain(word)
  })
})

describe('users', () => {
  it('[I2-TOK-02] [P10] [F65] see and touch their own agents alone', async () => {
    const regent = await Regent.start()
    const token = async (user: string, role: string) =>
      (await regent.json<{ token: string }>('token', 'create', user, '--role', role)).token
    const [alice, bob, reader] = [await token('alice', 'user'), await token('bob', 'user'), await token('alice', 'read-only')]
    const body = JSON.stringify({ ...cryptoTrader({ backend: 'memory', channel_name: 'c' }), initial_task: null })
    expect((await regent.fetch('/agents', { method: 'POST', body, as: bob })).status).toBeGreaterThanOrEqual(400)
    expect((await regent.fetch('/agents', { method: 'POST', body, as: reader })).status).toBe(403)
    expect((await regent.fetch('/agents', { method: 'POST', body, as: alice })).status).toBe(200)
    for (const path of [
      '/agents?username=alice',
      '/agents/crypto_trader?username=alice',
      '/api/v1/agents/alice%2Fcrypto_trader',
      '/api/v1/agents/crypto_trader/messages',
    ]) {
      const answer = await regent.fetch(path, { as: bob })
      expect([path, answer.status]).toEqual([path, 404])
    }
    expect((await regent.fetch('/agents', { as: bob })).body).toEqual([])
    expect((await regent.fetch('/agents/crypto_trader/stop?username=alice', { method: 'POST', as: bob })).status).toBe(404)
    expect((await regent.fetch('/agents', { as: reader })).status).toBe(200)
    expect((await regent.fetch('/agents', { as: 'wrong' })).status).toBe(401)
    await regent.run('token', 'revoke', 'bob')
    expect((await regent.fetch('/agents', { as: bob })).status).toBe(401)
    expect((await regent.fetch('/agents', { headers: { origin: 'http://evil.example' } })).status).toBe(403)
  })
})
