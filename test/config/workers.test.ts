import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { settings } from '../../src/config/schema.ts'
import type { Env } from '../../src/config/source.ts'
import { temporaryFolder } from '../helpers/folder.ts'

function loaded(toml: string, env: Env = {}): Config {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'regent.toml'), toml)
  return loadConfig({ cwd, flags: {}, env: { HOME: cwd, ...env } })
}

const changed: Config['workers'] = {
  maxActive: 3,
  running: 4,
  runningPerOwner: 5,
  runningPerNamespace: 6,
  runningPerAgent: { claude: 5, codex: 2 },
  api: 'state',
  ownerBudget: { usd: 1.5, tokens: 1000, seconds: 0.5 },
  keptMs: 3_600_000,
}

const lines = [
  'max_active = 3',
  'running = 4',
  'running_per_owner = 5',
  'running_per_namespace = 6',
  'running_per_agent = ["claude=5", "codex=2"]',
  'api = "state"',
  'owner_usd_per_day = 1.5',
  'owner_tokens_per_day = 1000',
  'owner_seconds_per_day = 0.5',
  'keep = "1h"',
]

const variables = {
  REGENT_WORKERS_MAX_ACTIVE: '3',
  REGENT_WORKERS_RUNNING: '4',
  REGENT_WORKERS_RUNNING_PER_OWNER: '5',
  REGENT_WORKERS_RUNNING_PER_NAMESPACE: '6',
  REGENT_WORKERS_RUNNING_PER_AGENT: 'claude=5, codex=2',
  REGENT_WORKERS_API: 'state',
  REGENT_WORKERS_OWNER_USD_PER_DAY: '1.5',
  REGENT_WORKERS_OWNER_TOKENS_PER_DAY: '1000',
  REGENT_WORKERS_OWNER_SECONDS_PER_DAY: '0.5',
  REGENT_WORKERS_KEEP: '1h',
}

describe('[workers]', () => {
  it('has a place in the queue for many, no budget, and forgets what was claimed after a month', () => {
    expect(loaded('').workers).toEqual({
      maxActive: 10,
      running: 32,
      runningPerOwner: 32,
      runningPerNamespace: 10,
      runningPerAgent: {},
      api: 'readme',
      ownerBudget: { usd: null, tokens: null, seconds: null },
      keptMs: 30 * 86_400_000,
    })
  })

  it('takes each setting from the file', () => {
    expect(loaded(`[workers]\n${lines.join('\n')}\n`).workers).toEqual(changed)
    expect(loaded('[workers]\nkeep = "off"\n').workers.keptMs).toBeNull()
  })

  it('takes each setting from its variable, over the file', () => {
    expect(loaded('[workers]\nrunning = 9\nkeep = "off"\n', variables).workers).toEqual(changed)
    const named = settings.filter(({ path }) => path.startsWith('workers.'))
    expect(named.flatMap(({ env }) => env)).toEqual(Object.keys(variables))
    expect(named.map(({ path }) => path)).toEqual(lines.map((line) => `workers.${line.split(' ')[0]}`))
  })

  it.each([
    ['max_active = 0', 'max_active: too small'],
    ['running = 1.5', 'running: '],
    ['running_per_owner = 10001', 'running_per_owner: too big'],
    ['running_per_namespace = "many"', 'running_per_namespace: '],
    ['running_per_agent = ["claude"]', 'running_per_agent: must be such as "claude=5"'],
    ['running_per_agent = ["claude=0"]', 'running_per_agent: must be such as "claude=5"'],
    ['api = "both"', 'api: invalid option: expected one of "readme"|"state"'],
    ['owner_usd_per_day = 0', 'owner_usd_per_day: too small'],
    ['owner_tokens_per_day = 0.5', 'owner_tokens_per_day: '],
    ['owner_seconds_per_day = -1', 'owner_seconds_per_day: too small'],
    ['keep = "1s"', 'keep: '],
    ['keep = "never"', 'keep: '],
  ])('refuses %s with its place', (line, message) => {
    expect(() => loaded(`[workers]\n${line}\n`)).toThrow(`regent.toml:2:1: workers.${message}`)
  })

  it('refuses a wrong variable by its name', () => {
    expect(() => loaded('', { REGENT_WORKERS_RUNNING: 'all' })).toThrow('REGENT_WORKERS_RUNNING: workers.running: ')
    expect(() => loaded('', { REGENT_WORKERS_KEEP: 'never' })).toThrow('REGENT_WORKERS_KEEP: workers.keep: ')
  })
})
