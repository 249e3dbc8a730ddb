// The tests: vitest with its usual report on the screen and a JSON report for the summary, then a look for what they left running.
import { randomUUID } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { leftovers } from './leftovers.mjs'
import { run, tool } from './run.mjs'

/** A test and a hook have their own time limits, but they cannot end a file that never yields: silence for so long does. */
const silenceMs = Number(process.env.REGENT_TEST_SILENCE_MS ?? 300_000)

/** Runs vitest with the caller's arguments; a run without arguments is the whole one, in which each skipped test must give its reason. */
export async function runTests(args, root, env = {}) {
  const from = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'regent-check-'))
  const mark = randomUUID()
  try {
    const report = join(folder, 'report.json')
    const progress = join(folder, 'progress')
    const reporters = ['default', 'json', join(import.meta.dirname, 'progress-reporter.mjs')].map((name) => `--reporter=${name}`)
    const guard = watch(progress)
    const { code } = await run(tool('vitest'), ['run', ...reporters, `--outputFile.json=${report}`, ...args], {
      cwd: root,
      inherit: true,
      signal: guard.signal,
      env: { ...process.env, ...env, REGENT_TEST_RUN: mark, REGENT_TEST_PROGRESS: progress },
    })
    const hung = guard.end()
    const noted = read(progress) ?? { planned: [], running: [], errors: [] }
    const result = digest(read(report), noted, { root, code, whole: args.length === 0 })
    if (hung) result.problems.push(...noted.running.map((file) => `${relative(root, file)} gave no sign of life for ${silenceMs / 1000} s`))
    const left = await leftovers(`REGENT_TEST_RUN=${mark}`)
    result.problems.push(...left.map((process) => `left running by a test: ${process}`))
    return { name: 'tests', ms: performance.now() - from, ...result, failed: result.failed + result.problems.length }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What stands on the store: it is run on PostgreSQL too, where there is one; SQLite has had it with all the others. */
export const onEitherStore = [
  'test/core',
  'test/doors/http',
  'test/doors/websocket',
  ...['bad-inputs', 'channels', 'cli', 'conversation', 'manager-api', 'survival', 'watching'].map((name) => `test/e2e/${name}.test.ts`),
]

/** Whether `npm run services` has started PostgreSQL here, or it is asked for. */
export function hasPostgres(root) {
  if (onEitherStore.some((path) => !existsSync(join(root, path)))) return false
  if (process.env.REGENT_TEST_SERVICES === 'required' || process.env.REGENT_TEST_POSTGRES_URL !== undefined) return true
  return read(join(root, '.services/state.json'))?.services?.postgres !== undefined
}

/** Aborts when the progress file has not changed for too long; `end` tells whether it did. */
function watch(progress) {
  const abort = new AbortController()
  writeFileSync(progress, '')
  const timer = setInterval(() => {
    if (Date.now() - statSync(progress).mtimeMs > silenceMs) abort.abort()
  }, silenceMs / 10)
  const end = () => {
    clearInterval(timer)
    return abort.signal.aborted
  }
  return { signal: abort.signal, end }
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
}

/** What the report says: the numbers, every skipped test with its reason, and what went wrong beside failed tests. */
function digest(report, noted, { root, code, whole }) {
  const files = report?.testResults ?? []
  const tests = files.flatMap((file) => file.assertionResults.map((test) => ({ ...test, file: relative(root, file.name) })))
  const count = (...states) => tests.filter((test) => states.includes(test.status)).length
  const skipped = tests.filter((test) => test.status === 'skipped' || test.status === 'todo' || test.status === 'pending').map(skip)
  const problems = files
    .filter((file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'))
    .map((file) => `${relative(root, file.name)} did not run to its end: ${firstLine(file.message)}`)
  const reported = new Set(files.map((file) => file.name))
  if (report !== undefined)
    problems.push(...noted.planned.filter((file) => !reported.has(file)).map((file) => `${relative(root, file)} did not run`))
  problems.push(...[...new Set(noted.errors)].map((error) => `outside of tests: ${firstLine(error)}`))
  const passed = count('passed')
  const failed = count('failed')
  if (report === undefined) problems.push(`vitest ended with ${code} and no report`)
  else if (passed + failed === 0) problems.push('no test ran')
  else if (code !== 0 && failed + problems.length === 0) problems.push(`vitest ended with ${code}: see its output above`)
  if (whole) problems.push(...skipped.filter((test) => test.reason === undefined).map((test) => `skipped without a reason: ${test.name}`))
  return {
    passed,
    failed,
    skipped: whole ? skipped : skipped.filter((test) => test.reason !== undefined),
    problems,
    titles: tests.map(title),
  }
}

const skip = (test) => ({
  name: `${test.file}: ${test.fullName.trim()}`,
  reason: test.meta?.skipReason ?? (test.status === 'todo' ? 'to do' : undefined),
})
const title = (test) => ({ title: test.title, ran: test.status === 'passed' || test.status === 'failed' })
const firstLine = (text) => (text || 'no message').split('\n')[0]
