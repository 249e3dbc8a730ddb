import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './folder.ts'
import { storeEnv } from './stores.ts'

const launcher = fileURLToPath(new URL('../../bin/regent', import.meta.url))
const READY_MS = 20_000

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A real Regent in a process of its own, with a home and a project that go when the test ends, its agents included. */
export class Regent {
  readonly home: string
  readonly project: string
  readonly #env: Readonly<Record<string, string>>
  #process: ChildProcess | undefined
  url = ''
  log = ''
  /** The command itself. */
  readonly launcher = launcher

  private constructor(env: Readonly<Record<string, string>>) {
    const root = temporaryFolder()
    this.home = env.REGENT_HOME ?? join(root, 'home')
    this.project = join(root, 'project')
    mkdirSync(this.project)
    this.#env = {
      PATH: process.env.PATH ?? '',
      HOME: root,
      LANG: 'C.UTF-8',
      REGENT_HOME: this.home,
      REGENT_PROJECT: this.project,
      REGENT_PORT: '0',
      REGENT_ORCHESTRATOR_PORT: 'off',
      ...storeEnv(this.home),
      ...env,
    }
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<Regent> {
    const regent = Regent.prepare(env)
    await regent.serve()
    return regent
  }

  /** One that has not been started yet. */
  static prepare(env: Readonly<Record<string, string>> = {}): Regent {
    const regent = new Regent(env)
    onTestFinished(() => regent.#end())
    return regent
  }

  /** Resolves at the line `regent ready`. */
  async serve(): Promise<void> {
    const child = spawn(launcher, ['serve'], { env: this.#env, cwd: this.project, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process = child
    child.stderr.on('data', (data) => {
      this.log += data
    })
    const lines = createInterface(child.stdout)
    const deadline = AbortSignal.timeout(READY_MS)
    const ready = (async () => {
      for await (const line of lines) {
        const found = /^regent ready (http:\S+)$/.exec(line)
        if (found?.[1]) return found[1]
      }
      return undefined
    })()
    const late = once(deadline, 'abort').then(() => undefined)
    const url = await Promise.race([ready, late])
    if (url === undefined) throw new Error(`Regent did not become ready:\n${this.log}`)
    this.url = url
  }

  get pid(): number {
    if (this.#process?.pid === undefined) throw new Error('Regent does not run')
    return this.#process.pid
  }

  get token(): string {
    return readFileSync(join(this.home, 'token'), 'utf8').trim()
  }

  /** `kill -9`, and until the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill(signal)
    await once(child, 'exit')
  }

  /** The CLI, as its user types it. */
  run(...args: string[]): Promise<Ran> {
    return new Promise((resolve) => {
      const options = { env: this.#env, cwd: this.project, timeout: 60_000, maxBuffer: 1 << 24 }
      execFile(launcher, args, options, (error, stdout, stderr) => resolve({ code: error ? Number(error.code ?? 1) : 0, stdout, stderr }))
    })
  }

  /** The CLI's JSON; throws what it said when it failed. */
  async json<T>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, '--json')
    if (code !== 0) throw new Error(`regent ${args.join(' ')} exited with ${code}: ${stderr}`)
    return JSON.parse(stdout) as T
  }

  /** An HTTP call as the local user; `as` sends a token instead. */
  async fetch(
    path: string,
    init: RequestInit & { as?: string } = {},
  ): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const headers = {
      ...(init.body !== undefined && { 'content-type': 'application/json' }),
      ...(init.as !== undefined && { authorization: `Bearer ${init.as}` }),
      ...init.headers,
    }
    const answer = await fetch(`${this.url}${path}`, { ...init, headers })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? {} : JSON.parse(text), headers: answer.headers }
  }

  /** `key`: an idempotency key. */
  post(path: string, body?: unknown, key?: string): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }> {
    const headers = key === undefined ? {} : { 'idempotency-key': key }
    return this.fetch(path, { method: 'POST', headers, ...(body !== undefined && { body: JSON.stringify(body) }) })
  }

  async #end(): Promise<void> {
    if (this.#process?.exitCode === null && this.#process.signalCode === null) await this.run('rm', '-y', 'all')
    else {
      await this.serve().catch(() => undefined)
      await this.run('rm', '-y', 'all')
    }
    await this.kill('SIGTERM')
  }
}
