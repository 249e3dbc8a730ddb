import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from './client/client.ts'
import { findServer, readServerFile } from './client/find-server.ts'
import type { Endpoint } from './client/http.ts'
import type { Output, StreamName, ValueName } from './contract/operations.ts'
import { workerVariables } from './contract/worker-variables.ts'
import type { ToolSet } from './doors/mcp/server.ts'
import { serveToolsOverStdio } from './doors/mcp/stdio.ts'
import type { ToolHost } from './doors/mcp/tool-host.ts'
import { RegentError } from './kernel/errors.ts'

export interface McpOptions {
  readonly home: string
  readonly launcher: string
  readonly cwd: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Given by the caller; undefined: that of home, which is started where none runs. */
  readonly url: string | undefined
  readonly token: string | undefined
  readonly tools: ToolSet
  readonly namespace: string
  readonly api: 'readme' | 'state'
  readonly version: string
}

/** How long a Regent may take to come back, or to start. */
const PATIENCE_MS = 60_000
const LOOK_MS = 100
/** How long whoever keeps Regent has to bring one back that was there, before another is started in its place. */
const COMES_BACK_MS = 10_000
const MOST_FAILURES = 3
/** A Regent that was started for its clients ends after 10 minutes without any. */
const IDLE_EXIT = '10m'
const SIGN_OF_LIFE_MS = 60_000
/** Beyond what a wait was asked for. */
const SLACK_MS = 5000

/** An MCP server over stdio: a client of the home's Regent, which lives on when this process ends. */
export async function serveMcp(options: McpOptions): Promise<void> {
  const regent = new PatientRegent(options)
  await regent.endpoint()
  const alive = setInterval(() => regent.signOfLife(), SIGN_OF_LIFE_MS)
  const { cwd, env, namespace, api, tools, version } = options
  const host: Omit<ToolHost, 'afterAnswer' | 'settling'> = {
    call: (name, input, given) => regent.call(name, input, given),
    open: (name, input, signal) => regent.open(name, input, signal),
    namespace,
    caller: { cwd, env: workerVariables(env) },
    api,
  }
  try {
    await serveToolsOverStdio({ host, tools, version })
  } finally {
    clearInterval(alive)
  }
}

/** Regent as a client sees it that outlives its restarts. */
class PatientRegent {
  readonly #o: McpOptions
  #starting: Promise<void> | undefined
  #wasThere = false
  /** Starts in a row that came to nothing; one may be that another was faster. */
  #failures = 0

  constructor(options: McpOptions) {
    this.#o = options
  }

  /** Calls that change something carry a key, so that one that is sent again has one effect. */
  async call<N extends ValueName>(name: N, input: unknown, { signal, key }: Parameters<ToolHost['call']>[2]): Promise<Output<N>> {
    const until = performance.now() + timeoutOf(input) + PATIENCE_MS
    const asked = performance.now()
    for (;;) {
      try {
        const client = createClient(await this.endpoint(signal))
        return await client.call(name, lessOf(input, performance.now() - asked) as never, { signal, ...(key !== undefined && { key }) })
      } catch (error) {
        if (signal.aborted || !isAway(error) || performance.now() > until) throw error
        await pause(LOOK_MS, undefined, { signal })
      }
    }
  }

  async *open<N extends StreamName>(name: N, input: unknown, signal: AbortSignal): AsyncGenerator<Output<N>> {
    const client = createClient({ ...(await this.endpoint(signal)), relocate: () => this.endpoint(signal) })
    yield* client.open(name, input as never, { signal })
  }

  /** Where Regent is; started where none runs and none was named. */
  async endpoint(signal?: AbortSignal): Promise<Endpoint> {
    const { home, url, token } = this.#o
    const from = performance.now()
    const until = from + PATIENCE_MS
    for (;;) {
      try {
        const found = findServer({ home, url, token })
        this.#wasThere = true
        this.#failures = 0
        return found
      } catch (error) {
        if (!isAway(error) || performance.now() > until) throw error
        if (this.#failures >= MOST_FAILURES) throw notStarted(home)
        const isDue = !(this.#wasThere || readServerFile(home)) || performance.now() - from > COMES_BACK_MS
        if (isDue)
          this.#starting ??= this.#start().finally(() => {
            this.#starting = undefined
          })
        await pause(LOOK_MS, undefined, { signal })
      }
    }
  }

  /** Keeps a Regent that was started for its clients; starts none. */
  signOfLife(): void {
    const { home, url, token } = this.#o
    try {
      void createClient(findServer({ home, url, token }))
        .call('workers.list', { limit: 1 })
        .catch(() => undefined)
    } catch {
      // The next call starts one.
    }
  }

  /** Resolves when the one that was started has ended, which it does at once where another serves the home. */
  #start(): Promise<void> {
    const { home, launcher, env } = this.#o
    mkdirSync(home, { recursive: true, mode: 0o700 })
    // What it says before it has a log of its own; begun anew with each start.
    const log = openSync(join(home, 'regent.out'), 'w', 0o600)
    try {
      // Its project is not the folder that a client happens to work in.
      const args = ['serve', '--home', home, '--project', home, '--port', '0', '--orchestrator-port', 'off', '--idle-exit', IDLE_EXIT]
      const child = spawn(launcher, args, { cwd: home, env: { ...env, REGENT_PROJECT: home }, detached: true, stdio: ['ignore', log, log] })
      child.unref()
      return new Promise((resolve) => {
        const ended = (code: number | null) => {
          if (code !== 0) this.#failures++
          resolve()
        }
        child.once('error', () => ended(null)).once('exit', ended)
      })
    } finally {
      closeSync(log)
    }
  }
}

/** With the end of what it said. */
function notStarted(home: string): RegentError {
  const said = readFileSync(join(home, 'regent.out'), 'utf8').trim().split('\n').slice(-3).join(' ').slice(-500)
  return new RegentError('START_FAILED', `Regent could not be started: ${said}`, { hint: `try it by hand: regent serve --home ${home}` })
}

const isAway = (error: unknown): boolean =>
  error instanceof RegentError && error.code === 'UNAVAILABLE' && (error.details.what === 'server' || error.retryAfter !== undefined)

const timeoutOf = (input: unknown): number => {
  const { timeout, wait } = input as { timeout?: unknown; wait?: unknown }
  return wait === true && typeof timeout === 'number' ? timeout + SLACK_MS : 0
}

/** A wait that is begun anew waits for what is left of its time. */
function lessOf(input: unknown, ms: number): unknown {
  const { timeout, wait } = input as { timeout?: unknown; wait?: unknown }
  return wait === true && typeof timeout === 'number' ? { ...(input as object), timeout: Math.max(0, Math.round(timeout - ms)) } : input
}
