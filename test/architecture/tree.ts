// A small checkout of its own, in which a test plants what the checks must find.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const settings = ['.dependency-cruiser.cjs', 'biome.json', 'tsconfig.json', 'vitest.config.ts']
const packages = ['vitest', 'typescript', '@types']

export type Outcome = { readonly code: number; readonly output: string; readonly lines: readonly string[] }

/** A git checkout with this project's settings and the given files; `remove` takes it away. */
export function plant(files: Readonly<Record<string, string>>): { root: string; remove: () => void } {
  const tree = mkdtempSync(join(tmpdir(), 'regent-tree-'))
  for (const file of settings) cpSync(join(root, file), join(tree, file))
  mkdirSync(join(tree, 'node_modules'))
  mkdirSync(join(tree, '.git/objects'), { recursive: true })
  mkdirSync(join(tree, '.git/refs'))
  const git = { '.git/HEAD': 'ref: refs/heads/main\n', '.gitignore': 'node_modules/\n' }
  for (const name of packages) symlinkSync(join(root, 'node_modules', name), join(tree, 'node_modules', name))
  for (const [file, text] of Object.entries({ ...git, ...files })) {
    mkdirSync(dirname(join(tree, file)), { recursive: true })
    writeFileSync(join(tree, file), text)
  }
  return { root: tree, remove: () => rmSync(tree, { recursive: true, force: true }) }
}

/** Runs `npm test`'s script on a tree. */
export const check = (tree: string, ...args: string[]) => script('scripts/check.mjs', ['--root', tree, ...args])

/** Runs a script of this checkout to its end, away from the environment of the test that calls it. */
export function script(file: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const [command, ...first] = file.endsWith('.mjs') ? [process.execPath, join(root, file)] : [join(root, file)]
  const inherited = { PATH: process.env.PATH, HOME: process.env.HOME, REGENT_TEST_RUN: process.env.REGENT_TEST_RUN }
  return new Promise((resolve) => {
    execFile(command, [...first, ...args], { env: { ...inherited, ...env }, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 128
      resolve({ code, output: stdout + stderr, lines: stdout.trimEnd().split('\n') })
    })
  })
}
