import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Home, openHome } from '../../../src/adapters/home/home.ts'
import { identityOf } from '../../../src/adapters/home/process-identity.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

const program = join(import.meta.dirname, '../../fixtures/home/holder.ts')

async function open(dir: string): Promise<Home> {
  const home = await openHome({ dir })
  onTestFinished(() => home.close())
  return home
}

interface Said {
  readonly holds: boolean
  readonly token?: string
  readonly code?: string
  readonly message?: string
  readonly hint?: string
  readonly details?: { pid: number | null; url: string | null }
}

/** Another Regent on this home, as a process of its own. */
async function another(dir: string, url = '') {
  const child = spawn(process.execPath, [program, dir, url], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string]
  const end = async (signal?: 'SIGKILL') => {
    const ended = child.exitCode !== null || child.signalCode !== null ? undefined : once(child, 'exit')
    if (signal) child.kill(signal)
    else child.stdin.end()
    await ended
  }
  return { said: JSON.parse(line) as Said, pid: child.pid ?? 0, end }
}

describe('the home', () => {
  it('is made with its folders for its owner alone, and everything in it too', async () => {
    const dir = join(temporaryFolder(), 'share', 'regent')
    const home = await open(dir)
    await home.writeAddress({ url: 'http://127.0.0.1:1', pid: process.pid, startedAt: 5 })
    for (const path of [dir, home.paths.runs, home.paths.agents, home.paths.secrets]) expect(statSync(path).mode & 0o777).toBe(0o700)
    const files = readdirSync(dir).filter((name) => statSync(join(dir, name)).isFile())
    expect(files.sort()).toEqual(['key', 'lock', 'lock.json', 'server.json', 'token'])
    for (const name of files) expect([name, statSync(join(dir, name)).mode & 0o777]).toEqual([name, 0o600])
  })

  it('keeps its token and its key over restarts, and makes each home its own', async () => {
    const [dir, other] = [temporaryFolder(), temporaryFolder()]
    const first = await open(dir)
    await first.close()
    const second = await open(dir)
    expect(first.token).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(first.key).toHaveLength(32)
    expect([second.token, second.key]).toEqual([first.token, first.key])
    expect(readFileSync(second.paths.tokenFile, 'utf8').trim()).toBe(first.token)
    const stranger = await open(other)
    expect(stranger.token).not.toBe(first.token)
    expect(stranger.key).not.toEqual(first.key)
  })

  it('closes a token again that others could read, and refuses a damaged one', async () => {
    const dir = temporaryFolder()
    await (await open(dir)).close()
    chmodSync(join(dir, 'token'), 0o644)
    await (await open(dir)).close()
    expect(statSync(join(dir, 'token')).mode & 0o777).toBe(0o600)
    for (const name of ['token', 'key']) {
      const sound = readFileSync(join(dir, name))
      writeFileSync(join(dir, name), 'short')
      await expect(openHome({ dir })).rejects.toMatchObject({ code: 'UNAVAILABLE', hint: expect.stringContaining('Remove it') })
      writeFileSync(join(dir, name), sound)
    }
  })

  it('leaves an address for clients while it is open, and none of a Regent that was killed', async () => {
    const dir = temporaryFolder()
    const address = { url: 'http://127.0.0.1:8080', pid: process.pid, startedAt: 5 }
    const home = await open(dir)
    await home.writeAddress(address)
    expect(JSON.parse(readFileSync(join(dir, 'server.json'), 'utf8'))).toEqual(address)
    await home.removeAddress()
    await home.removeAddress()
    expect(existsSync(join(dir, 'server.json'))).toBe(false)
    await home.writeAddress(address)
    await home.close()
    await home.close()
    expect(existsSync(join(dir, 'server.json'))).toBe(false)
    writeFileSync(join(dir, 'server.json'), JSON.stringify(address))
    await open(dir)
    expect(existsSync(join(dir, 'server.json'))).toBe(false)
  })

  it('takes a folder that others may enter when it is empty or its own, not when it is something else', async () => {
    const dir = temporaryFolder()
    chmodSync(dir, 0o755)
    await (await open(dir)).close()
    chmodSync(dir, 0o777)
    await (await open(dir)).close()
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    const shared = temporaryFolder()
    writeFileSync(join(shared, 'thesis.txt'), 'precious')
    chmodSync(shared, 0o755)
    await expect(openHome({ dir: shared })).rejects.toMatchObject({ code: 'FORBIDDEN', hint: expect.stringContaining('700') })
    expect(statSync(shared).mode & 0o777).toBe(0o755)
    expect(readdirSync(shared)).toEqual(['thesis.txt'])
  })

  it('refuses links and files in its place, and what leads out of it [part of F41]', async () => {
    const base = temporaryFolder()
    const real = join(base, 'real')
    mkdirSync(real)
    const cases: [string, () => void][] = [
      ['link', () => symlinkSync(real, join(base, 'link'))],
      ['dangling', () => symlinkSync(join(base, 'nowhere'), join(base, 'dangling'))],
      ['file', () => writeFileSync(join(base, 'file'), '')],
    ]
    for (const [name, plant] of cases) {
      plant()
      await expect(openHome({ dir: join(base, name) })).rejects.toMatchObject({ name: 'RegentError', code: 'FORBIDDEN' })
    }
    expect(existsSync(join(base, 'nowhere'))).toBe(false)
    expect(readdirSync(real)).toEqual([])
    await expect(openHome({ dir: 'relative/home' })).rejects.toMatchObject({ code: 'INVALID' })
  })

  it('refuses a folder of another user, and one that cannot be made [part of F41]', async () => {
    const isRoot = process.getuid?.() === 0
    const foreign = isRoot ? temporaryFolder() : '/usr'
    if (isRoot) chownSync(foreign, 12_345, 12_345)
    const refused = await openHome({ dir: foreign }).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'FORBIDDEN', message: expect.stringContaining('belongs to user'), hint: expect.any(String) })
    await expect(openHome({ dir: '/proc/regent-home' })).rejects.toMatchObject({ name: 'RegentError' })
  })

  it('follows no link that was planted inside [part of F41]', async () => {
    for (const name of ['token', 'key', 'lock', 'lock.json', 'runs', 'secrets']) {
      const [dir, outside] = [temporaryFolder(), temporaryFolder()]
      const target = join(outside, 'target')
      writeFileSync(target, 'x'.repeat(43))
      symlinkSync(target, join(dir, name))
      await expect(openHome({ dir })).rejects.toMatchObject({ name: 'RegentError', code: 'FORBIDDEN' })
      expect([name, readFileSync(target, 'utf8')]).toEqual([name, 'x'.repeat(43)])
    }
  })

  it('replaces a planted link by the address instead of writing through it', async () => {
    const [dir, outside] = [temporaryFolder(), temporaryFolder()]
    const home = await open(dir)
    writeFileSync(join(outside, 'target'), 'theirs')
    symlinkSync(join(outside, 'target'), join(dir, 'server.json'))
    await home.writeAddress({ url: 'http://127.0.0.1:1', pid: 1, startedAt: 1 })
    expect(readFileSync(join(outside, 'target'), 'utf8')).toBe('theirs')
    expect(lstatSync(join(dir, 'server.json')).isFile()).toBe(true)
  })
})

describe('one process per home', () => {
  it('refuses a second process and names the first, its pid and its address [I2-STO-02] [part of F18]', async () => {
    const dir = temporaryFolder()
    const first = await another(dir, 'http://127.0.0.1:4711')
    expect(first.said.holds).toBe(true)
    const second = await another(dir)
    expect(second.said).toMatchObject({ holds: false, code: 'ILLEGAL_STATE', details: { pid: first.pid, url: 'http://127.0.0.1:4711' } })
    expect(second.said.message).toContain(`pid ${first.pid}`)
    expect(second.said.message).toContain('http://127.0.0.1:4711')
    // The refused one has disturbed nothing.
    expect(JSON.parse(readFileSync(join(dir, 'server.json'), 'utf8'))).toMatchObject({ pid: first.pid })
    await first.end()
    expect(readdirSync(dir)).not.toContain('lock.json')
    expect((await another(dir)).said.holds).toBe(true)
  })

  it('refuses a second time within one process too, and does not let go of the first', async () => {
    const dir = temporaryFolder()
    await open(dir)
    await expect(openHome({ dir })).rejects.toMatchObject({ code: 'ILLEGAL_STATE', details: { pid: process.pid } })
    expect((await another(dir)).said).toMatchObject({ holds: false, details: { pid: process.pid } })
  })

  it('takes over from a process that was killed', async () => {
    const dir = temporaryFolder()
    const first = await another(dir, 'http://127.0.0.1:4711')
    await first.end('SIGKILL')
    expect(readdirSync(dir)).toContain('lock.json')
    const second = await another(dir)
    expect(second.said).toMatchObject({ holds: true, token: first.said.token })
  })

  it('believes a holder file only when pid, start time and boot all match', async () => {
    const self = identityOf(process.pid)
    const strangers = [{ ...self, startTime: '1' }, { ...self, bootId: 'another boot' }, { ...self, pid: 2 ** 22 + 1 }, 'not json']
    for (const stranger of strangers) {
      const dir = temporaryFolder()
      writeFileSync(join(dir, 'lock.json'), JSON.stringify(stranger), { mode: 0o600 })
      expect((await another(dir)).said.holds).toBe(true)
    }
    const dir = temporaryFolder()
    writeFileSync(join(dir, 'lock.json'), JSON.stringify(self), { mode: 0o600 })
    expect((await another(dir)).said).toMatchObject({ holds: false, details: { pid: process.pid } })
  })

  it('lets exactly one of several that start at once take over what a dead one left [part of F18]', async () => {
    const dir = temporaryFolder()
    for (let round = 0; round < 2; round += 1) {
      const dead = await another(dir)
      await dead.end('SIGKILL')
      const all = await Promise.all(Array.from({ length: 5 }, () => another(dir)))
      const winners = all.filter((one) => one.said.holds)
      expect(winners).toHaveLength(1)
      for (const loser of all.filter((one) => !one.said.holds)) expect(loser.said.details?.pid).toBe(winners[0]?.pid)
      for (const one of all) await one.end('SIGKILL')
    }
  })
})
