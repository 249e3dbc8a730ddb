// Programs from the npm registry that tests run and the package does not bring: each in a folder of its own, installed once for a checkout.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { home } from './home.mjs'
import { which } from './places.mjs'
import { finish } from './processes.mjs'

const bare = (name) => ({ name, packages: () => (which('npm') ? [] : ['npm']) })

/** Claude Code's own program lies in a package for each platform; the one around it would only copy it at its installation. */
const claudePackage = `@anthropic-ai/claude-code-${process.platform}-${process.arch}`

export const claude = {
  ...bare('claude'),
  async start() {
    const program = await installed('claude', { name: claudePackage, version: '2.1.197', file: 'claude' })
    await finish('claude', {
      command: program,
      args: ['--version'],
      env: { HOME: '/nonexistent', DISABLE_AUTOUPDATER: '1' },
      timeoutMs: 60_000,
    })
    return { urls: { url: program }, processes: [] }
  },
}

export const mcpConformance = {
  ...bare('mcp-conformance'),
  async start() {
    const name = '@modelcontextprotocol/conformance'
    const program = await installed('mcp-conformance', { name, version: '0.1.16', file: 'dist/index.js' })
    await finish('mcp-conformance', { command: process.execPath, args: [program, '--version'], timeoutMs: 60_000 })
    return { urls: { url: program }, processes: [] }
  },
}

/** The path of a package's program; what is there in this version is not asked for again, so that later starts need no network. */
async function installed(service, { name, version, file }) {
  const folder = join(home, 'npm', service)
  const program = join(folder, 'node_modules', name, file)
  if (existsSync(program) && versionOf(join(folder, 'node_modules', name)) === version) return program
  const fresh = `${folder}.new`
  rmSync(fresh, { recursive: true, force: true })
  mkdirSync(fresh, { recursive: true })
  writeFileSync(join(fresh, 'package.json'), '{ "private": true }\n')
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error', `${name}@${version}`]
  await finish(service, { command: which('npm'), args, cwd: fresh, env: environment(), timeoutMs: 150_000 })
  rmSync(folder, { recursive: true, force: true })
  renameSync(fresh, folder)
  return program
}

/** As the caller reaches registries: proxies, certificates, npm's own settings; not what a script of npm is told of the package it is in. */
const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_(?!config_)|^npm_config_(local_)?prefix$/i.test(name)))

const versionOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version
