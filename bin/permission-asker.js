// What asks Regent for a worker's permissions: plain JavaScript that any Node can read. It turns the compile cache on before any TypeScript is
// read: the CLI of the worker waits for it at each start.
import { existsSync } from 'node:fs'
import module from 'node:module'

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`regent: the permission asker needs Node.js 24 or newer, this is ${process.versions.node} (${process.execPath})\n`)
  process.exit(1)
}
const checkout = existsSync(new URL('../package-lock.json', import.meta.url))
if (checkout) module.enableCompileCache(new URL('../node_modules/.cache/compile', import.meta.url).pathname)
else module.enableCompileCache()

const { servePermissions } = await import(
  new URL(checkout ? '../src/runner/permission-asker.ts' : '../dist/runner/permission-asker.js', import.meta.url).href
)
servePermissions(process.env)
