import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { readTar, tarEnd, tarHeader, tarPadding } from '../../src/adapters/home/tar.ts'
import { act, agentsByName, printedBy, startCommand } from '../helpers/command-agents.ts'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { Regent } from '../helpers/regent.ts'
import { onSqlite } from '../helpers/stores.ts'
import { until } from '../helpers/until.ts'

interface Said {
  id: string
  final: boolean
  content: string
  state: string | null
}
type Entry = { readonly path: string; readonly content: Buffer }

const running = async (regent: Regent, ...names: string[]) => {
  const now = await agentsByName(regent)
  return names.every((name) => now[name]?.state === 'RUNNING')
}
const messagesOf = async (regent: Regent, name: string) =>
  (await regent.fetch(`/api/v1/agents/${name}/messages?limit=500`)).body.messages as Said[]

async function entriesOf(file: string): Promise<Entry[]> {
  const found: Entry[] = []
  const pieces = async function* () {
    yield gunzipSync(readFileSync(file))
  }
  for await (const { path, content } of readTar(pieces())) {
    const parts: Buffer[] = []
    for await (const part of content) parts.push(part)
    found.push({ path, content: Buffer.concat(parts) })
  }
  return found
}

/** An archive of these entries whose manifest names them as they are. */
function packed(entries: readonly Entry[], file: string): string {
  const files = entries.map(({ path, content }) => ({
    path,
    size: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  }))
  const manifest = { path: 'manifest.json', content: Buffer.from(JSON.stringify({ format: 1, regent: '0', schema: 1, at: 0, files })) }
  const blocks = [...entries, manifest].flatMap(({ path, content }) => [
    tarHeader({ path, mode: 0o600, size: content.length, mtime: 0 }),
    content,
    tarPadding(content.length),
  ])
  writeFileSync(file, gzipSync(Buffer.concat([...blocks, tarEnd()])))
  return file
}

describe('regent backup and restore', { timeout: 120_000, ...onSqlite }, () => {
  it('a home that was backed up while agents ran and messages came in starts again with all that was accepted before [I3-BACKUP-01]', async () => {
    const regent = await Regent.start()
    await regent.post('/agents', { ...cryptoTrader({ backend: 'memory', channel_name: 'x' }), name: 'trader', initial_task: null })
    await act(regent, 'trader', 'start')
    await startCommand(regent, 'web', ['sh', '-c', 'echo "token $API_TOKEN"; exec sleep 1000'], { env: { API_TOKEN: 'hush-hush' } })
    const send = async (index: number) => {
      const { body } = await regent.post('/api/v1/agents/trader/messages', { content: `message ${index}` })
      return (body.message as Said).id
    }
    const before = await Promise.all(Array.from({ length: 20 }, (_, index) => send(index)))
    const file = join(temporaryFolder(), 'copy.tar.gz')
    let isOver = false
    const flood = (async () => {
      for (let index = 100; !isOver; index++) await send(index)
    })()
    const made = await regent.json<{ file: string; bytes: number; agents: number }>('backup', file, '--with-logs')
    isOver = true
    await flood
    expect(made).toEqual({ file, bytes: statSync(file).size, agents: 2 })
    expect(statSync(file).mode & 0o777).toBe(0o600)

    const other = Regent.prepare()
    expect(await other.json('restore', file)).toMatchObject({ home: other.home, aside: null, agents: [], left: [] })
    for (const name of ['regent.db', 'token', 'key']) expect(statSync(join(other.home, name)).mode & 0o777).toBe(0o600)
    for (const name of ['.', 'agents', 'secrets']) expect(statSync(join(other.home, name)).mode & 0o777).toBe(0o700)
    expect(readFileSync(join(other.home, 'token'), 'utf8')).toBe(readFileSync(join(regent.home, 'token'), 'utf8'))
    // Its own agents would be the same ones a second time.
    await regent.run('rm', '-y', 'all')
    await other.serve()
    const there = (await messagesOf(other, 'trader')).map(({ id }) => id)
    expect(there).toEqual(expect.arrayContaining(before))
    await until(() => running(other, 'web'), 'web, as it was wanted', 20_000)
    await until(async () => (await printedBy(other, 'web')).at(-1) === 'token hush-hush', 'its secret')
  })

  it('leaves what runs alone: known runs go on, later ones and their agents are taken up with their pids', async () => {
    const regent = await Regent.start()
    for (const name of ['stays', 'restarted']) await startCommand(regent, name, ['sleep', '1000'])
    const file = join(temporaryFolder(), 'copy.tar.gz')
    expect((await regent.run('backup', file)).code).toBe(0)
    await act(regent, 'restarted', 'restart')
    await startCommand(regent, 'later', ['sh', '-c', 'echo "$MY_TOKEN"; exec sleep 1000'], { env: { MY_TOKEN: 'hush-hush' } })
    const before = await agentsByName(regent)

    const refused = await regent.run('restore', file, '--force')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain(`pid ${regent.pid}`)
    await regent.kill()
    expect((await regent.run('restore', file)).stderr).toContain('is not empty')
    const report = await regent.json<{ aside: string; agents: { agent: string; pid: number; wasKnown: boolean }[] }>(
      'restore',
      file,
      '--force',
    )
    expect(readdirSync(report.aside)).toContain('regent.db')
    expect(report.agents.map(({ agent, pid, wasKnown }) => [agent.split('/')[1], pid, wasKnown]).sort()).toEqual([
      ['later', before.later?.pid, false],
      ['restarted', before.restarted?.pid, true],
    ])
    await regent.serve()
    const after = await agentsByName(regent)
    for (const name of ['stays', 'restarted', 'later']) expect(after[name]).toMatchObject({ state: 'RUNNING', pid: before[name]?.pid })
    await act(regent, 'later', 'restart')
    await until(async () => (await printedBy(regent, 'later')).length === 2, 'a line of each life')
    expect(await printedBy(regent, 'later')).toEqual(['hush-hush', 'hush-hush'])
  })

  it('backs up without a server, over no other file, into a folder that is there', async () => {
    const regent = await Regent.start()
    await startCommand(regent, 'web', ['sleep', '1000'])
    const folder = temporaryFolder()
    const file = join(folder, 'copy.tar.gz')
    await regent.kill()
    expect(await regent.json('backup', file)).toEqual({ file, bytes: statSync(file).size })
    const text = readFileSync(file)
    for (const backup of [() => regent.run('backup', file), () => regent.serve().then(() => regent.run('backup', file))]) {
      const again = await backup()
      expect(again.code).toBe(1)
      expect(again.stderr).toContain('is there already')
    }
    expect(readFileSync(file)).toEqual(text)
    expect((await regent.run('backup', join(folder, 'none/copy.tar.gz'))).stderr).toContain(`there is no folder ${folder}/none`)
    expect(readdirSync(folder)).toEqual(['copy.tar.gz'])
    expect((await entriesOf(file)).map(({ path }) => path)).toEqual(['regent.db', 'token', 'key', 'manifest.json'])
  })

  it('refuses a backup that is damaged, cut off or leads out of the home, and changes nothing', async () => {
    const regent = await Regent.start()
    const folder = temporaryFolder()
    const file = join(folder, 'copy.tar.gz')
    await regent.run('backup', file)
    const entries = (await entriesOf(file)).filter(({ path }) => path !== 'manifest.json')
    const good = packed(entries, join(folder, 'good'))
    const flipped = Buffer.from(gunzipSync(readFileSync(file)))
    flipped[20_000] = (flipped[20_000] ?? 0) ^ 1
    writeFileSync(join(folder, 'flipped'), gzipSync(flipped))
    writeFileSync(join(folder, 'cut'), gzipSync(flipped.subarray(0, 30_000)))
    writeFileSync(join(folder, 'torn'), readFileSync(file).subarray(0, 2_000))
    writeFileSync(join(folder, 'text'), 'no archive at all')
    const link = tarHeader({ path: 'agents/x/link', mode: 0o600, size: 0, mtime: 0 })
    link.write('2', 156)
    link.write('        ', 148)
    link.write(
      `${link
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    )
    writeFileSync(join(folder, 'link'), gzipSync(Buffer.concat([link, tarEnd()])))
    const content = Buffer.from('x')
    for (const path of ['../evil', '/tmp/evil', 'agents/../../evil', 'regent.db/../../evil', 'server.json', 'agents/x/.hidden'])
      packed([...entries, { path, content }], join(folder, `path-${path.replaceAll('/', '-')}`))
    const notOne = { path: 'regent.db', content: Buffer.from('these are no rows') }
    packed([...entries.filter(({ path }) => path !== 'regent.db'), notOne], join(folder, 'no-database'))
    packed(entries.slice(1), join(folder, 'without-database'))
    const home = join(folder, 'home')
    for (const name of readdirSync(folder).filter((one) => !['copy.tar.gz', 'good'].includes(one))) {
      const refused = await regent.run('restore', join(folder, name), '--home', home)
      expect([name, refused.code]).toEqual([name, 1])
      expect(refused.stderr).not.toContain('fault in Regent')
      expect(readdirSync(folder).filter((one) => one.startsWith('home'))).toEqual([])
    }
    expect((await regent.run('restore', good, '--home', home)).code).toBe(0)
    expect((await regent.run('restore', join(folder, 'absent'), '--home', join(folder, 'h2'))).code).toBe(4)
  })
})
