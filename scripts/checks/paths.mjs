// Nothing in the checkout may name the machine it was written on: home directories, the package registry it used.
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { everyFile } from './files.mjs'

const home =
  /(?<![\w.~/-])\/(?:home|Users)\/(?!(?:alice|bob|agentuser|user|you|me|NAME)\b)[A-Za-z][\w.-]*\/|[A-Za-z]:\\Users\\[A-Za-z]|(?<![\w.~/-])\/(?:root|work)\/[\w.]/
const registry = /"resolved": "https?:[^"]+"/
const largest = 4 << 20

export function paths(root) {
  const problems = everyFile(root).flatMap((file) => pathsIn(root, file))
  return { ok: problems.length === 0, output: problems.join('\n') }
}

function pathsIn(root, file) {
  if (statSync(join(root, file)).size > largest) return []
  const text = readFileSync(join(root, file), 'utf8')
  if (text.includes('\0')) return []
  const rule = /(^|\/)(package-lock|npm-shrinkwrap)\.json$/.test(file) ? registry : home
  return text.split('\n').flatMap((line, index) => {
    const found = rule.exec(line)?.[0]
    return found === undefined ? [] : [`${file}:${index + 1}: names a place of one machine: ${found}`]
  })
}
