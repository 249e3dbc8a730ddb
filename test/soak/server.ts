import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'

const launcher = join(import.meta.dirname, '../../bin/regent')
const READY_MS = 30_000
const CALL_MS = 10_000

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown>
}

/** A real Regent whose home and project are in one folder, to be killed, frozen and started again. */
export class Server {
  readonly home: string
  readonly log: string
  readonly #env: Readonly<Record<string, string>>
  readonly #root: string
  #child: ChildProcess | undefined
  #url: string | undefined
  #wanted = true
  #since = 0
  /** ms from the start of the process to `regent ready`, of each start. */
  readonly starts: number[] = []
  /** Ends of Regent that nobody asked for. */
  readonly deaths: string[] = []
  paused = false

  constructor(root: string, env: Readonly<Record<string, string>> = {}) {
    this.#root = root
    this.home = join(root, 'home')
    this.log = join(root, 'regent.log')
    mkdirSync(join(root, 'project'), { recursive: true })
    this.#env = {
      PATH: process.env.PATH ?? '',
      HOME: root,
      LANG: 'C.UTF-8',
      REGENT_HOME: this.home,
      REGENT_PROJECT: join(root, 'project'),
      REGENT_PORT: '0',
      REGENT_ORCHESTRATOR_PORT: 'off',
      ...env,
    }
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** It answers, as far as is known. */
  get up(): boolean {
    return this.#url !== undefined && !this.paused
  }

  /** ms since it was ready. */
  get age(): number {
    return this.#url === undefined ? 0 : performance.now() - this.#since
  }

  async start(): Promise<void> {
    const begun = performance.now()
    this.#wanted = true
    const child = spawn(launcher, ['serve'], { env: this.#env, cwd: this.#root, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    child.stderr.on('data', (text) => appendFileSync(this.log, text))
    child.once('exit', (code, signal) => {
      this.#url = undefined
      if (this.#wanted) this.deaths.push(`code ${code}, signal ${signal}`)
    })
    const late = setTimeout(() => child.kill('SIGKILL'), READY_MS)
    for await (const line of createInterface(child.stdout)) {
      const url = /^regent ready (http:\S+)$/.exec(line)?.[1]
      if (url === undefined) continue
      this.#url = url
      break
    }
    clearTimeout(late)
    if (this.#url === undefined) throw new Error(`Regent did not become ready: ${readFileSync(this.log, 'utf8').slice(-2000)}`)
    this.#since = performance.now()
    this.starts.push(this.#since - begun)
  }

  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    this.#wanted = false
    this.#url = undefined
    child.kill(signal)
    await once(child, 'exit')
  }

  async freeze(ms: number): Promise<void> {
    this.paused = true
    this.#child?.kill('SIGSTOP')
    await pause(ms)
    this.#child?.kill('SIGCONT')
    this.paused = false
  }

  /** Throws when there is no answer. */
  async call(method: string, path: string, body?: object, key?: string): Promise<Answer> {
    if (this.#url === undefined) throw new Error('Regent is down')
    const headers = { ...(body && { 'content-type': 'application/json' }), ...(key !== undefined && { 'idempotency-key': key }) }
    const signal = AbortSignal.timeout(CALL_MS)
    const answer = await fetch(`${this.#url}${path}`, { method, headers, signal, ...(body && { body: JSON.stringify(body) }) })
    const text = await answer.text()
    return { status: answer.status, body: text === '' ? {} : JSON.parse(text) }
  }

  /** Resident memory in MiB and open descriptors; undefined while it is down. */
  size(): { readonly mib: number; readonly descriptors: number } | undefined {
    if (this.pid === undefined || !this.up) return undefined
    try {
      const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1]
      return { mib: Number(rss) / 1024, descriptors: readdirSync(`/proc/${this.pid}/fd`).length }
    } catch {
      return undefined
    }
  }
}
