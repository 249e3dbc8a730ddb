// What `regent/runner` is: plain JavaScript that any Node can read. It says which Node is needed, and turns the compile cache on before any
// TypeScript is read, which an agent's program then need not translate or hold: a third of its memory and of its start.
import { existsSync } from 'node:fs'
import module from 'node:module'

if (Number(process.versions.node.split('.')[0]) < 24) {
  const brought = new URL('../node_modules/.bin/node', import.meta.url)
  const remedy = existsSync(brought) ? `; run it with ${brought.pathname}` : ''
  process.stderr.write(`regent: agent files need Node.js 24 or newer, this is ${process.versions.node} (${process.execPath})${remedy}\n`)
  process.exit(1)
}
const checkout = existsSync(new URL('../package-lock.json', import.meta.url))
if (checkout) module.enableCompileCache(new URL('../node_modules/.cache/compile', import.meta.url).pathname)
else module.enableCompileCache()

export const { Team } = await import(new URL(checkout ? '../src/runner/index.ts' : '../dist/runner/index.js', import.meta.url).href)
