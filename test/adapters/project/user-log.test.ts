import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { SafeTree } from '../../../src/adapters/project/files/safe-tree.ts'
import { UserLogFiles } from '../../../src/adapters/project/files/user-log.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

function logs(over: { maxBytes?: number; keep?: number; logger?: Logger } = {}) {
  const root = temporaryFolder()
  const files = new UserLogFiles({ tree: new SafeTree(root), clock: systemClock, logger: silentLogger, ...over })
  const folder = join(root, 'agents/ann')
  return { root, folder, files, read: (name = 'all.log') => readFileSync(join(folder, name), 'utf8') }
}

describe("a user's log", () => {
  it('has a line for each, in order, with its time and its agent [part of S0-31]', async () => {
    const { files, read, folder } = logs()
    for (let at = 0; at < 500; at += 1) files.append('ann', at % 2 ? 'odd' : 'even', `line ${at}`)
    files.append('bob', 'other', 'not here')
    await files.close()
    const lines = read().trimEnd().split('\n')
    expect(lines.map((line) => line.replace(/^\S+ /, ''))).toEqual(
      Array.from({ length: 500 }, (_, at) => `[${at % 2 ? 'odd' : 'even'}] line ${at}`),
    )
    for (const line of lines) expect(line).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \[/)
    expect(statSync(join(folder, 'all.log')).mode & 0o777).toBe(0o600)
  })

  it('goes on after what is there, and keeps a line one line', async () => {
    const { files, read, folder } = logs()
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'all.log'), 'before\n')
    files.append('ann', 'x', 'one\r\ntwo\nthree\n')
    files.append('ann', 'x', 'y'.repeat(70_000))
    await files.close()
    const lines = read().trimEnd().split('\n')
    expect(lines).toHaveLength(3)
    expect([lines[0], lines[1]?.replace(/^\S+ /, '')]).toEqual(['before', '[x] one\\ntwo\\nthree'])
    expect(lines[2]?.length).toBeLessThan(66_000)
  })

  it('is rotated, and keeps a bounded number', async () => {
    const { files, read, folder } = logs({ maxBytes: 1000, keep: 2 })
    for (let at = 0; at < 60; at += 1) {
      files.append('ann', 'x', `line ${at} ${'.'.repeat(60)}`)
      await files.close()
      expect(read()).toContain(`line ${at} `)
    }
    await files.close()
    expect(readdirSync(folder).sort()).toEqual(['all.log', 'all.log.1', 'all.log.2'])
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(1000)
    const kept = [...`${read('all.log.2')}${read('all.log.1')}${read()}`.matchAll(/line (\d+) /g)].map((match) => Number(match[1]))
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, at) => 60 - kept.length + at))
  })

  it('drops and counts what cannot be written, says so once, and goes on', async () => {
    const said: string[] = []
    const logger = {
      ...silentLogger,
      warn: (_: object, text: string) => void said.push(text),
      info: (_: object, text: string) => void said.push(text),
    }
    const { files, read, root } = logs({ logger })
    writeFileSync(join(root, 'agents'), 'in the way')
    for (let at = 0; at < 3; at += 1) {
      files.append('ann', 'x', `lost ${at}`)
      await files.close()
    }
    rmSync(join(root, 'agents'))
    files.append('ann', 'x', 'kept')
    await files.close()
    const lines = read()
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/^\S+ /, ''))
    expect(lines).toEqual(['[regent] 3 lines were dropped', '[x] kept'])
    expect(said).toHaveLength(2)
  })

  it('holds a bounded amount while the disk is slow', async () => {
    const { files, read } = logs({ maxBytes: 100 * 1024 * 1024 })
    for (let at = 0; at < 3000; at += 1) files.append('ann', 'x', `${at} ${'z'.repeat(1000)}`)
    await files.close()
    files.append('ann', 'x', 'last')
    await files.close()
    const lines = read().trimEnd().split('\n')
    const kept = lines.filter((line) => line.includes(' zzz')).length
    expect(kept).toBeGreaterThan(900)
    expect(kept).toBeLessThan(1100)
    expect(lines.at(-2)).toContain(`[regent] ${3000 - kept} lines were dropped`)
    expect(lines.at(-1)).toContain('last')
  })
})
