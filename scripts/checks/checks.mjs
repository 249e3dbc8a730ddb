// The static checks, in the order of their report. Each answers { ok, output, note? }.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from './environment.mjs'
import { layers } from './layers.mjs'
import { lock } from './lock.mjs'
import { paths } from './paths.mjs'
import { run, tool } from './run.mjs'
import { sizes } from './sizes.mjs'

async function lint(root) {
  const { code, output } = await run(tool('biome'), ['check', '--max-diagnostics=200', ...colours()], { cwd: root })
  return { ok: code === 0, output, note: /Checked (\d+ files)/.exec(output)?.[1] }
}

async function types(root) {
  const projects = ['.', 'web'].filter((project) => existsSync(join(root, project, 'tsconfig.json')))
  const results = []
  for (const project of projects) {
    const cache = join('node_modules/.cache/types', `${project === '.' ? 'server' : project}.tsbuildinfo`)
    results.push(
      await run(tool('tsc'), ['--noEmit', '-p', project, '--incremental', '--tsBuildInfoFile', cache, '--pretty'], { cwd: root }),
    )
  }
  return { ok: results.length > 0 && results.every(({ code }) => code === 0), output: results.map(({ output }) => output).join('') }
}

async function unused(root) {
  const { code, output } = await run(tool('knip'), ['--no-progress', '--treat-config-hints-as-errors'], { cwd: root })
  return { ok: code === 0, output }
}

const colours = () => (process.stdout.isTTY ? ['--colors=force'] : [])

export const checks = { lint, types, layers, sizes, unused, environment, paths, lock }

/** Runs the named checks two at a time and tells of each, in order, as soon as it and those before it have ended. */
export async function runChecks(names, root, tell) {
  const queue = [...names]
  const started = new Map(names.map((name) => [name, Promise.withResolvers()]))
  const worker = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const from = performance.now()
      const result = await Promise.resolve(root)
        .then(checks[name])
        .catch((error) => ({ ok: false, output: String(error?.stack ?? error) }))
      started.get(name).resolve({ name, ms: performance.now() - from, ...result })
    }
  }
  const workers = [worker(), worker()]
  const results = []
  for (const { promise } of started.values()) {
    results.push(await promise)
    tell(results.at(-1))
  }
  await Promise.all(workers)
  return results
}
