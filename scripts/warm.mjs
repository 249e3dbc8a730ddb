// Fills the compile cache, so that the first start is as fast and as small as every later one: a process that has to translate
// TypeScript itself carries the translator, 15 MiB, for its whole life.
import { globSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const root = new URL('..', import.meta.url)
module.enableCompileCache(fileURLToPath(new URL('node_modules/.cache/compile', root)))
// The entry runs when it is imported, and workers end a process that is not theirs.
const files = globSync('src/**/*.ts', { cwd: fileURLToPath(root), exclude: ['src/main.ts', 'src/**/*-worker.ts'] })
for (const file of files) await import(new URL(file, root).href)
module.flushCompileCache()
process.exit(0)
