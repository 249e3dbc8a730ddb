// Plain JavaScript that any Node can read: it says which Node is needed, and turns the compile cache on before any TypeScript is read.
import { existsSync } from 'node:fs'
import module from 'node:module'

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`regent: needs Node.js 24 or newer, this is ${process.versions.node} (${process.execPath})\n`)
  process.exit(1)
}
const checkout = existsSync(new URL('../package-lock.json', import.meta.url))
if (checkout) module.enableCompileCache(new URL('../node_modules/.cache/compile', import.meta.url).pathname)
else module.enableCompileCache()
await import(new URL(checkout ? '../src/main.ts' : '../dist/main.js', import.meta.url).href)
