import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'

const LOAD_MS = 10_000
const MOST_BYTES = 16 * 1024 * 1024
/**
 * A CommonJS file whose package says that its files are ES modules assigns to a global `module`. What the file prints goes to stderr, so that
 * stdout holds the result alone.
 */
const program = `
console.log = console.info = console.debug = console.error
const common = (globalThis.module = { exports: undefined })
const loaded = await import(process.argv[1])
let value = loaded.default ?? (Object.keys(loaded).length > 0 ? loaded : common.exports)
if (typeof value === 'function') value = await value()
await new Promise((done) => process.stdout.write(JSON.stringify(value ?? null), done))
process.exit(0)
`

/** What a JavaScript configuration exports, as JSON. It is a program of the user's: it runs in a process of its own, for ten seconds at most. */
export function loadJs(file: string, env: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  const args = ['--input-type=module', '--disable-warning=ExperimentalWarning', '-e', program, pathToFileURL(file).href]
  const options = { cwd: dirname(file), env: { ...env }, timeout: LOAD_MS, killSignal: 'SIGKILL', maxBuffer: MOST_BYTES } as const
  return new Promise((done, fail) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error) return fail(failure(file, error, stderr))
      try {
        done(JSON.parse(stdout))
      } catch (problem) {
        fail(new RegentError('INVALID', `${file}: what it exports cannot be told as JSON: ${reasonOf(problem)}`))
      }
    })
  })
}

function failure(file: string, error: Error & { readonly killed?: boolean }, stderr: string): RegentError {
  if (error.killed)
    return new RegentError('INVALID', `${file}: did not end within ${LOAD_MS / 1000} s`, { hint: 'give Regent its result as JSON' })
  const lines = stderr.trim().split('\n')
  const said = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? reasonOf(error)
  const line = lines.map((text) => /\.[cm]?js:(\d+)/.exec(text)?.[1]).find((found) => found !== undefined)
  return new RegentError('INVALID', `${file}${line === undefined ? '' : `:${line}`}: cannot be loaded: ${said}`, { cause: error })
}
