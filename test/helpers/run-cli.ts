import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { onTestFinished } from 'vitest'
import { type FakeHandler, type FakeNativeApi, startFakeNativeApi } from './fake-native-api.ts'
import { temporaryFolder } from './folder.ts'

const launcher = join(import.meta.dirname, '../../bin/regent')

export interface CliResult {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CliOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string
}

/** One command of the real launcher in an environment that holds nothing of the machine's. Killed with the test. */
export async function runCli(
  args: readonly string[],
  { env = {}, cwd = temporaryFolder(), stdin = '' }: CliOptions = {},
): Promise<CliResult> {
  const child = spawn(launcher, args, { cwd, env: { PATH: process.env.PATH ?? '', HOME: cwd, TZ: 'UTC', ...env } })
  onTestFinished(() => void child.kill('SIGKILL'))
  child.stdin.on('error', () => {}) // A command that reads nothing may have ended before.
  child.stdin.end(stdin)
  const ended = new Promise<number | null>((resolve, reject) => child.on('close', resolve).on('error', reject))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, stdout, stderr }
}

export interface FakeRegent {
  readonly api: FakeNativeApi
  readonly home: string
  /** Runs a command against it. */
  readonly run: (args: readonly string[], options?: CliOptions) => Promise<CliResult>
}

/** A home with a server in it, as `regent serve` leaves it, whose answers the test gives. */
export async function fakeRegent(handlers: Readonly<Record<string, FakeHandler>> = {}): Promise<FakeRegent> {
  const api = await startFakeNativeApi(handlers)
  onTestFinished(() => api.close())
  const home = join(temporaryFolder(), 'home')
  mkdirSync(home, { mode: 0o700 })
  writeFileSync(join(home, 'server.json'), JSON.stringify({ url: api.url, pid: process.pid, startedAt: Date.now() }))
  writeFileSync(join(home, 'token'), 'token-of-home\n')
  return {
    api,
    home,
    run: (args, options = {}) => runCli(args, { ...options, env: { REGENT_HOME: home, ...options.env } }),
  }
}
