// What `npm test` says at its end: a table of checks, the promises, the skipped tests, and as the last line the counts.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const idInTitle = (id) => `[${id}]`

export function table(results) {
  const rows = results.map((result) => [result.name, result.ok ? 'ok' : 'FAILED', `${(result.ms / 1000).toFixed(1)} s`, result.note ?? ''])
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column].length)))
  const line = ([name, verdict, time, note]) =>
    `  ${name.padEnd(widths[0])}  ${verdict.padEnd(widths[1])}  ${time.padStart(widths[2])}  ${note}`.trimEnd()
  return ['', 'Checks', ...rows.map(line)].join('\n')
}

/** How many promises are proved, which are planned, and which proved ones this run could not show because their tests were skipped. */
export async function promises(root, tests) {
  const file = join(root, 'test/e2e/requirements.ts')
  if (!existsSync(file)) return ''
  const { requirements, issues } = await import(pathToFileURL(file).href)
  const proved = requirements.filter((row) => row.status === 'proved')
  const open = requirements.filter((row) => row.status === 'planned')
  const lines = ['', `Promises: ${proved.length} proved, ${open.length} planned`]
  for (const [issue, rows] of byIssue(open))
    lines.push(`  issue ${issue}, ${issues[issue]} (${rows.length}): ${ranges(rows.map((row) => row.id))}`)
  const silent = tests === undefined ? [] : proved.filter(({ id }) => wasSkipped(idInTitle(id), tests.titles))
  if (silent.length > 0) lines.push(`  proved, but every test of it was skipped in this run: ${ranges(silent.map((row) => row.id))}`)
  return lines.join('\n')
}

const byIssue = (rows) => [...Map.groupBy(rows, (row) => row.issue)].sort(([a], [b]) => a - b)

function wasSkipped(mark, titles) {
  const claiming = titles.filter(({ title }) => title.includes(mark))
  return claiming.length > 0 && !claiming.some(({ ran }) => ran)
}

/** S0-01, S0-02, S0-03, S0-07 → `S0-01..03 S0-07`. */
function ranges(ids) {
  const runs = []
  for (const id of ids) {
    const [, stem, digits] = /^(.*?)(\d+)$/.exec(id)
    const last = runs.at(-1)
    if (last?.stem === stem && Number(digits) === Number(last.to) + 1) last.to = digits
    else runs.push({ stem, from: digits, to: digits })
  }
  return runs.map(({ stem, from, to }) => (from === to ? stem + from : `${stem}${from}..${to}`)).join(' ')
}

export function skips(tests) {
  const rows = tests?.skipped ?? []
  if (rows.length === 0) return ''
  return ['', `Skipped tests (${rows.length})`, ...rows.map(({ name, reason }) => `  ${name}: ${reason ?? 'no reason given'}`)].join('\n')
}

export function counts(results) {
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0)
  const passed = sum((result) => result.passed ?? (result.ok ? 1 : 0))
  const failed = sum((result) => result.failed ?? (result.ok ? 0 : 1))
  const skipped = sum((result) => result.skipped?.length ?? 0)
  return { passed, failed, line: `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}` }
}
