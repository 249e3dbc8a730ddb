// Writes src/client/routes.ts from the operations table, so that the client knows its addresses without loading the schemas.
// `--check` only compares and fails when it is out of date.
import { readFileSync, writeFileSync } from 'node:fs'
import { operationList } from '../src/contract/operations.ts'

const file = new URL('../src/client/routes.ts', import.meta.url)

function routesSource() {
  const lines = operationList.map(
    ({ name, http, reply }) => `  '${name}': { method: '${http.method}', path: '${http.path}', reply: '${reply}' },`,
  )
  return `// Written by scripts/generate-routes.mjs from the operations table; do not edit.
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** \`:name\` stands for the field of the input with that name. */
  readonly path: string
  readonly reply: 'value' | 'stream'
}

export const routes: Readonly<Record<string, Route>> = {
${lines.join('\n')}
}
`
}

if (!process.argv.includes('--check')) writeFileSync(file, routesSource())
else if (readFileSync(file, 'utf8') !== routesSource()) {
  console.error('src/client/routes.ts is out of date: node scripts/generate-routes.mjs')
  process.exitCode = 1
}
