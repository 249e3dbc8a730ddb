import { mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openLogFile } from '../../../src/adapters/home/log-file.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

it('appends, is this user alone to read, and tells who watches', async () => {
  const path = join(temporaryFolder(), 'regent.log')
  writeFileSync(path, 'before\n')
  const log = openLogFile(path)
  const seen: string[] = []
  const unwatch = log.watch((line) => seen.push(line))
  log.write('one\n')
  unwatch()
  log.write('two\n')
  expect(log.read()?.toString()).toBe('before\none\ntwo\n')
  expect(seen).toEqual(['one\n'])
  log.clear()
  log.write('three\n')
  expect(readFileSync(path, 'utf8')).toBe('three\n')
  await log.close()
  log.write('late\n')
  expect(readFileSync(path, 'utf8')).toBe('three\n')
  const fresh = join(temporaryFolder(), 'regent.log')
  await openLogFile(fresh).close()
  expect(statSync(fresh).mode & 0o777).toBe(0o600)
})

it('stays bounded, with one file before it', async () => {
  const path = join(temporaryFolder(), 'regent.log')
  const log = openLogFile(path, 100)
  for (let number = 0; number < 50; number++) log.write(`line ${String(number).padStart(14, '0')}\n`)
  expect(statSync(path).size).toBeLessThanOrEqual(100)
  expect(statSync(`${path}.1`).size).toBe(100)
  expect(log.read()?.toString()).toContain('49\n')
  await log.close()
})

it('drops what cannot be written, and writes again when it can', async () => {
  const folder = temporaryFolder()
  const path = join(folder, 'regent.log')
  mkdirSync(path)
  const log = openLogFile(path)
  log.write('lost\n')
  expect(log.read()).toBeUndefined()
  rmSync(path, { recursive: true })
  log.write('kept\n')
  expect(readFileSync(path, 'utf8')).toBe('kept\n')
  await log.close()
})

it('follows no link', async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, 'other'), 'theirs')
  symlinkSync(join(folder, 'other'), join(folder, 'regent.log'))
  const log = openLogFile(join(folder, 'regent.log'))
  log.write('ours\n')
  await log.close()
  expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('theirs')
})
