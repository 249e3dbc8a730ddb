// The dependency rules. A cruise that did not see every module is a failure: it would pass whatever is imported.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { sources } from './files.mjs'
import { run, tool } from './run.mjs'

export async function layers(root) {
  const folders = ['src', 'web'].filter((folder) => existsSync(join(root, folder)))
  const files = sources(root, folders).filter((file) => /\.tsx?$/.test(file))
  const cruise = await run(tool('depcruise'), [...folders, '--config', '.dependency-cruiser.cjs', '--output-type', 'json'], { cwd: root })
  const report = parsed(cruise.stdout)
  if (report === undefined)
    return { ok: false, output: cruise.output.trim() || `dependency-cruiser ended with ${cruise.code} and no report` }
  const seen = new Set(report.modules.map((module) => module.source))
  const unseen = files.filter((file) => !seen.has(file)).map((file) => `not cruised: ${file}`)
  const errors = report.summary.violations.filter((found) => found.rule.severity === 'error').map(sentence)
  const problems = [...(files.length === 0 ? ['no module to cruise'] : []), ...unseen, ...errors]
  return { ok: problems.length === 0, output: problems.join('\n'), note: `${files.length} modules` }
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function sentence({ rule, from, to, cycle }) {
  return `${rule.name}: ${from} → ${cycle?.length > 0 ? cycle.map((step) => step.name).join(' → ') : to}`
}
