import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, dirname, join } from 'node:path'
import { readServerFile } from '../../client/find-server.ts'
import type { Check } from '../../contract/system.ts'
import { systemCode } from '../../kernel/errors.ts'
import type { DoctorConfig, Env } from './context.ts'

const LEAST_FREE = 512 * 2 ** 20

/** What this machine offers, as far as it can be seen without a server. */
export async function localChecks(config: DoctorConfig, env: Env): Promise<Check[]> {
  const isServed = readServerFile(config.home) !== undefined
  const ports: [string, number | 'off'][] = [
    ['port', config.port],
    ['orchestrator port', config.orchestratorPort],
  ]
  return [
    nodeCheck(),
    platformCheck(),
    await homeCheck(config.home),
    await projectCheck(config.project),
    await diskCheck(config.home),
    ...(isServed ? [] : await Promise.all(ports.map(([name, port]) => portCheck(name, config.host, port)))),
    await programCheck('sh', env, true, 'agents are started through it'),
    await programCheck('setsid', env, process.platform === 'linux', 'agents get a session of their own; install util-linux'),
    await programCheck(
      'uvx',
      env,
      false,
      'MCP servers written in Python need it (https://docs.astral.sh/uv/); `mcp-server-fetch` is built in',
    ),
    await programCheck('npx', env, false, 'MCP servers from npm need it'),
    modelCheck(config),
  ]
}

function nodeCheck(): Check {
  const { node } = process.versions
  const ok = Number(node.split('.')[0]) >= 24
  return { name: 'node', ok, required: true, message: ok ? node : `${node}: install Node.js 24 or newer` }
}

function platformCheck(): Check {
  const { platform } = process
  const told: Partial<Record<NodeJS.Platform, string>> = {
    darwin: 'macOS: a stop ends the process group only, and every request needs the token',
    win32: 'Windows: as a client only; run the server on Linux or in WSL',
  }
  const message = told[platform]
  return { name: 'platform', ok: message === undefined, required: platform === 'win32', message: message ?? platform }
}

async function homeCheck(home: string): Promise<Check> {
  const answer = (ok: boolean, message: string): Check => ({ name: 'home', ok, required: true, message })
  const there = await nearestFolder(home)
  try {
    await access(there, constants.W_OK | constants.X_OK)
  } catch {
    return answer(false, `${there} cannot be written: give it to your user, or choose another --home`)
  }
  if (there !== home) return answer(true, `${home} (made by the first start)`)
  const { mode, uid } = await stat(home)
  if (process.getuid !== undefined && uid !== process.getuid())
    return answer(false, `${home} belongs to another user: choose another --home`)
  // Passing through is not reading: agents with an account of their own need it (0711).
  if ((mode & 0o066) !== 0) return answer(false, `${home} can be read by others: chmod 700 ${home}`)
  return answer(true, home)
}

/** Programs run without one that can be written; teams do not. */
async function projectCheck(project: string): Promise<Check> {
  const agents = join(project, 'agents')
  const there = await nearestFolder(agents)
  const canWrite = await access(there, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  )
  const made = there === agents || there === project ? '' : ' (made by the first start)'
  const message = canWrite ? `${project}${made}` : `${there} cannot be written, so no team can be created: choose another --project`
  return { name: 'project', ok: canWrite, required: false, message }
}

async function diskCheck(home: string): Promise<Check> {
  const { bavail, bsize } = await statfs(await nearestFolder(home))
  const free = bavail * bsize
  const megabytes = Math.floor(free / 2 ** 20)
  return {
    name: 'disk',
    ok: free >= LEAST_FREE,
    required: true,
    message: `${megabytes} MiB free${free >= LEAST_FREE ? '' : ': make room, at least 512 MiB'}`,
  }
}

async function nearestFolder(path: string): Promise<string> {
  try {
    await access(path)
    return path
  } catch {
    return dirname(path) === path ? path : nearestFolder(dirname(path))
  }
}

/** Tries to listen for a moment; only where no server of this home holds the port already. */
async function portCheck(name: string, host: string, port: number | 'off'): Promise<Check> {
  if (port === 'off' || port === 0) return { name, ok: true, required: true, message: port === 'off' ? 'off' : 'any free one' }
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const probe = createServer()
  probe.once('error', (error) => resolve(systemCode(error) ?? 'unknown reason'))
  probe.listen(port, host, () => probe.close(() => resolve(undefined)))
  const problem = await promise
  const remedies: Readonly<Record<string, string>> = {
    EADDRINUSE: `${port} is taken by another program: stop it, or choose another with --${name.replace(' ', '-')}`,
    EACCES: `${port} is not allowed for your user: choose one above 1023`,
  }
  return {
    name,
    ok: problem === undefined,
    required: true,
    message: problem === undefined ? `${host}:${port} is free` : (remedies[problem] ?? `${host}:${port}: ${problem}`),
  }
}

async function programCheck(program: string, env: Env, required: boolean, why: string): Promise<Check> {
  for (const folder of (env.PATH ?? '').split(delimiter)) {
    const path = join(folder, program)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (found && folder !== '') return { name: program, ok: true, required, message: path }
  }
  return { name: program, ok: false, required, message: `not found on the PATH: ${why}` }
}

function modelCheck({ models }: DoctorConfig): Check {
  const providers = [
    ...(models.anthropicKey ? ['Anthropic'] : []),
    ...(models.openaiKey || models.openaiBaseUrl ? [models.openaiBaseUrl ? `OpenAI-compatible at ${models.openaiBaseUrl}` : 'OpenAI'] : []),
  ]
  const message =
    providers.length > 0
      ? providers.join(', ')
      : 'no key, so the offline model answers: set ANTHROPIC_API_KEY or OPENAI_API_KEY in the environment or .env'
  return { name: 'models', ok: providers.length > 0, required: false, message }
}
