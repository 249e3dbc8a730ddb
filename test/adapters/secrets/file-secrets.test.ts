import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createFileSecrets } from '../../../src/adapters/secrets/files/file-secrets.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

const id = () => randomUUID()
const hostile = { 'json_config.anthropic.api_key': 'sk-"quoted"\n\u2028\\', constructor: 'y', 'a b/../c': 'ü' }

describe('secrets in files', () => {
  it('gives back what was put, over a restart, from a private file', async () => {
    const dir = join(temporaryFolder(), 'secrets')
    const [one, two] = [id(), id()]
    const secrets = await createFileSecrets({ dir })
    await secrets.put(one, { old: 'gone' })
    await secrets.put(one, hostile)
    await secrets.put(two, { key: 'two' })
    expect(await secrets.get(one)).toEqual(hostile)
    const again = await createFileSecrets({ dir })
    expect(await again.get(one)).toEqual(hostile)
    expect(await again.get(id())).toEqual({})
    expect(again.values()).toEqual(new Set([...Object.values(hostile), 'two']))
    expect(statSync(dir).mode & 0o777).toBe(0o700)
    expect(readdirSync(dir).sort()).toEqual([`${one}.json`, `${two}.json`].sort())
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600)
  })

  it('forgets what is removed or replaced, for redaction too', async () => {
    const dir = temporaryFolder()
    const agent = id()
    const secrets = await createFileSecrets({ dir })
    await secrets.put(agent, { a: 'first', empty: '' })
    expect(secrets.values()).toEqual(new Set(['first']))
    await secrets.put(agent, { a: 'second' })
    expect(secrets.values()).toEqual(new Set(['second']))
    await secrets.remove(agent)
    await secrets.remove(agent)
    await secrets.put(agent, {})
    expect(secrets.values()).toEqual(new Set())
    expect(await secrets.get(agent)).toEqual({})
    expect(readdirSync(dir)).toEqual([])
  })

  it('keeps the last of many puts at once, on disk as in memory', async () => {
    const dir = temporaryFolder()
    const agent = id()
    const secrets = await createFileSecrets({ dir })
    await Promise.all(Array.from({ length: 30 }, (_, at) => secrets.put(agent, { at: String(at) })))
    expect(await secrets.get(agent)).toEqual({ at: '29' })
    expect(JSON.parse(readFileSync(join(dir, `${agent}.json`), 'utf8'))).toEqual({ at: '29' })
    expect(readdirSync(dir)).toHaveLength(1)
  })

  it('takes nothing but a UUID for an id', async () => {
    const base = temporaryFolder()
    const dir = join(base, 'secrets')
    const secrets = await createFileSecrets({ dir })
    for (const bad of ['../x', '', 'a/b', `${id()}/..`, `${id()}\0`]) {
      await expect(secrets.put(bad, { a: 'b' })).rejects.toMatchObject({ code: 'INVALID' })
      await expect(secrets.get(bad)).rejects.toMatchObject({ code: 'INVALID' })
      await expect(secrets.remove(bad)).rejects.toMatchObject({ code: 'INVALID' })
    }
    expect([readdirSync(base), readdirSync(dir)]).toEqual([['secrets'], []])
  })

  it('starts in spite of damaged files and planted links, and says whose secrets are lost', async () => {
    const [dir, outside] = [temporaryFolder(), temporaryFolder()]
    const [cut, wrong, linked, fine] = [id(), id(), id(), id()]
    writeFileSync(join(outside, 'theirs'), '{"a":"outside"}')
    writeFileSync(join(dir, `${cut}.json`), '{"a": "b')
    writeFileSync(join(dir, `${wrong}.json`), '{"a": 1}')
    symlinkSync(join(outside, 'theirs'), join(dir, `${linked}.json`))
    writeFileSync(join(dir, `${fine}.json`), '{"a": "fine"}', { mode: 0o644 })
    writeFileSync(join(dir, `${fine}.json.abc.new`), '{"a"')
    const secrets = await createFileSecrets({ dir })
    for (const lost of [cut, wrong, linked]) await expect(secrets.get(lost)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(secrets.values()).toEqual(new Set(['fine']))
    expect(statSync(join(dir, `${fine}.json`)).mode & 0o777).toBe(0o600)
    expect(readdirSync(dir).some((name) => name.endsWith('.new'))).toBe(false)
    await secrets.put(linked, { a: 'new' })
    expect(await secrets.get(linked)).toEqual({ a: 'new' })
    expect(readFileSync(join(outside, 'theirs'), 'utf8')).toBe('{"a":"outside"}')
  })

  it('refuses a link in place of its folder, and closes an open one', async () => {
    const [base, real] = [temporaryFolder(), temporaryFolder()]
    symlinkSync(real, join(base, 'link'))
    await expect(createFileSecrets({ dir: join(base, 'link') })).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    const open = join(base, 'open')
    mkdirSync(open)
    chmodSync(open, 0o755)
    await createFileSecrets({ dir: open })
    expect(statSync(open).mode & 0o777).toBe(0o700)
  })
})
