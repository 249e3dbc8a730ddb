import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.ts'
import { Regent } from '../../helpers/regent.ts'

const isRoot = process.getuid?.() === 0

/** A file system that cannot be written; a folder without the right to, where only root could mount one. */
function unwritable(folder: string): void {
  if (isRoot) {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'ro,mode=0700,size=64k', 'regent-test', folder])
    onTestFinished(() => void execFileSync('umount', [folder]))
  } else chmodSync(folder, 0o500)
}

it('[F41] a home that cannot be written, of another owner, a link, a file or a shared folder: the start is refused in words', async () => {
  const base = temporaryFolder()
  const place = (name: string) => {
    const folder = join(base, name)
    mkdirSync(folder, { mode: 0o700 })
    return folder
  }
  const cases: [RegExp, string, () => void][] = [
    [/cannot be (written|used)/, place('unwritable'), () => unwritable(join(base, 'unwritable'))],
    [/symbolic link/, join(base, 'link'), () => symlinkSync(place('target'), join(base, 'link'))],
    [/not a folder/, join(base, 'file'), () => writeFileSync(join(base, 'file'), 'precious')],
    [/not of Regent, and others may enter/, place('shared'), () => share(join(base, 'shared'))],
    [/symbolic link/, place('planted'), () => symlinkSync(join(base, 'target'), join(base, 'planted', 'runs'))],
  ]
  if (isRoot) cases.push([/belongs to user 12345/, place('theirs'), () => chownSync(join(base, 'theirs'), 12_345, 12_345)])
  for (const [words, home, plant] of cases) {
    plant()
    const regent = Regent.prepare({ REGENT_HOME: home })
    await expect(regent.serve()).rejects.toThrow(words)
  }
  expect(readdirSync(join(base, 'target'))).toEqual([])
  expect(readFileSync(join(base, 'file'), 'utf8')).toBe('precious')
  expect(readdirSync(join(base, 'shared'))).toEqual(['thesis.txt'])
}, 60_000)

function share(folder: string): void {
  writeFileSync(join(folder, 'thesis.txt'), 'precious')
  chmodSync(folder, 0o777)
}
