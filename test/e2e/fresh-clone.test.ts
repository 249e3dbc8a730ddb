import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../helpers/folder.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

describe('an empty machine', () => {
  it('[I2-PRJ-01] [S0-35] [I2-CLI-01] clones, types npm start, and pastes the README’s lines', { timeout: 240_000 }, async () => {
    const place = temporaryFolder()
    const clone = join(place, 'regent')
    const home = join(place, 'home')
    mkdirSync(home)
    execFileSync('git', ['clone', '-q', '--depth', '1', `file://${root}`, clone])
    const env = {
      HOME: home,
      PATH: `${dirname(process.env.npm_node_execpath ?? '/usr/local/bin/node')}:/usr/local/bin:/usr/bin:/bin`,
      npm_config_cache: join(place, 'cache'),
    }
    const given = Object.fromEntries(
      Object.entries(process.env).filter(([name]) =>
        /^(npm_config_(registry|.*_proxy|proxy|cafile)|https?_proxy|NODE_EXTRA_CA_CERTS)$/i.test(name),
      ),
    )
    const child = spawn('npm', ['start', '--', '--port', '0'], {
      cwd: clone,
      env: { ...given, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    })
    onTestFinished(async () => {
      if (child.exitCode !== null) return
      process.kill(-(child.pid ?? 0), 'SIGTERM')
      await once(child, 'exit')
    })
    let url = ''
    for await (const line of createInterface(child.stdout)) {
      url = /^regent ready (\S+)$/.exec(line)?.[1] ?? ''
      if (url !== '') break
    }
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    const created =
      /curl -X POST "http:\/\/localhost:8080\/agents" \\\n[\s\S]*?\n {2}\}'/.exec(readFileSync(join(clone, 'README.md'), 'utf8'))?.[0] ?? ''
    const sh = (line: string) => execFileSync('sh', ['-c', line.replaceAll('http://localhost:8080', url)], { env, encoding: 'utf8' })
    expect(JSON.parse(sh(created))).toMatchObject({ message: "Agent 'crypto_trader' created successfully for user 'alice'" })
    expect(sh('curl -s -X POST "http://localhost:8080/agents/crypto_trader/start?username=alice"')).toContain('started successfully')
    expect(sh('curl -s "http://localhost:8080/agents?username=alice"')).toContain('"status":"RUNNING"')
    expect(sh('curl -s -X DELETE "http://localhost:8080/agents/crypto_trader?username=alice"')).toContain('deleted successfully')
  })

  it('[I2-PRJ-07] [S4-23] finds the licence, the two commands, the example, and every page that the README names', () => {
    const readme = readFileSync(join(root, 'README.md'), 'utf8')
    expect(readFileSync(join(root, 'LICENSE'), 'utf8')).toContain('MIT License')
    for (const word of ['npm start', 'npm test', '"crypto_trader"', 'docs/images/']) expect(readme).toContain(word)
    const links = [...readme.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1] ?? '')
    expect(links.length).toBeGreaterThan(8)
    expect(links.filter((link) => !existsSync(join(root, link)))).toEqual([])
  })

  it('[S0-39] [S0-41] finds advice: what to look at when something does not work, and what a token lets its holder do', () => {
    const page = (name: string) => readFileSync(join(root, 'docs', name), 'utf8')
    for (const word of [
      'The agent does not start',
      'broker cannot be reached',
      'API does not answer',
      'The template',
      'Where the logs are',
    ])
      expect(page('troubleshooting.md')).toContain(word)
    for (const word of ['give a shell', 'host of their own', 'allowed_hosts']) expect(page('security.md')).toContain(word)
  })
})
