// Fills the compile cache, so that the very first start is as fast and as small as every later one: a process that has to translate
// TypeScript itself carries the translator, 15 MiB, for its whole life. Run by scripts/setup, once with the flags of each program.
import { globSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)
const programs = {
  serve: ['src/serve.ts', 'src/config/load.ts', 'src/config/flags.ts', 'src/adapters/{stores,runtimes,buses}/**/*.ts', 'src/doors/{http,shared,websocket}/**/*.ts'],
  cli: ['src/doors/cli/**/*.ts', 'src/config/*.ts', 'src/client/*.ts'],
  runner: ['src/runner/**/*.ts', 'src/adapters/{models,tool-servers}/**/*.ts'],
}
const wanted = programs[process.argv[2]]
if (wanted === undefined) throw new Error(`usage: warm.mjs ${Object.keys(programs).join('|')}`)
module.enableCompileCache(fileURLToPath(new URL('node_modules/.cache/compile', root)))
for (const file of globSync(wanted, { cwd: fileURLToPath(root) })) {
  if (!file.includes('-worker')) await import(new URL(file, root).href)
}
module.flushCompileCache()
process.exit(0)
