// The process of a turn whose CLI speaks the Agent Client Protocol: plain JavaScript that any Node can read. It turns the compile cache on
// before any TypeScript is read.
import { existsSync } from 'node:fs'
import module from 'node:module'

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write(`regent: the ACP bridge needs Node.js 24 or newer, this is ${process.versions.node} (${process.execPath})\n`)
  process.exit(1)
}
const checkout = existsSync(new URL('../package-lock.json', import.meta.url))
if (checkout) module.enableCompileCache(new URL('../node_modules/.cache/compile', import.meta.url).pathname)
else module.enableCompileCache()

const { bridgeTurn } = await import(
  new URL(checkout ? '../src/runner/acp-bridge.ts' : '../dist/runner/acp-bridge.js', import.meta.url).href
)
try {
  process.exitCode = await bridgeTurn(process.argv.slice(2), process.env, process.cwd())
} catch (error) {
  process.stderr.write(`acp bridge: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
}
