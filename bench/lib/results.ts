import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Result, result } from './result.ts'

const root = join(import.meta.dirname, '../..')

/** Results that count; those of tries with another `--n` go to `triesFolder`, which git ignores. */
export const resultsFolder = join(root, 'bench/results')
export const triesFolder = join(resultsFolder, 'tmp')

export function writeResult(folder: string, measured: Result): string {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${measured.bench}.json`)
  writeFileSync(file, `${JSON.stringify(result.parse(measured), undefined, 2)}\n`)
  return file
}

/** Undefined where the bench was not run yet. Throws on a file that is no result. */
export function readResult(folder: string, name: string): Result | undefined {
  const file = join(folder, `${name}.json`)
  return existsSync(file) ? result.parse(JSON.parse(readFileSync(file, 'utf8'))) : undefined
}

/** The commit that is measured; `+` where the sources differ from it. */
export function commitOf(): string {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const changed = git('status', '--porcelain', '--', 'src', 'bin', 'package-lock.json').trim() !== ''
    return `${git('rev-parse', '--short=10', 'HEAD').trim()}${changed ? '+' : ''}`
  } catch {
    return 'unknown'
  }
}
