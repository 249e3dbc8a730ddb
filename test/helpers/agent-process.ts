import { type ChildProcess, spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import { onTestFinished } from 'vitest'

export interface AgentProcess {
  readonly child: ChildProcess
  readonly pid: number
  readonly out: () => string
  readonly err: () => string
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
  kill(signal: NodeJS.Signals): void
}

const root = join(import.meta.dirname, '../..')

/** An agent file as a program of its own; killed when the test ends. */
export function startAgentFile(
  file: string,
  options: { readonly env?: Record<string, string>; readonly cwd?: string; readonly input?: string | null } = {},
): AgentProcess {
  const child = spawn(join(root, 'node_modules/.bin/node'), [resolve(root, file)], {
    cwd: options.cwd ?? root,
    env: { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '', ...options.env },
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  child.stdout?.on('data', (piece) => {
    out += piece
  })
  child.stderr?.on('data', (piece) => {
    err += piece
  })
  if (options.input !== undefined && options.input !== null) child.stdin?.end(options.input)
  const exited = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  )
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await exited
  })
  return { child, pid: child.pid ?? 0, out: () => out, err: () => err, exited, kill: (signal) => void child.kill(signal) }
}

export interface TeamProcess {
  readonly stateDir: string
  readonly runDir: string
  readonly definition: object
  readonly start?: string
  readonly env?: Record<string, string>
}

/** A runner as Regent starts it, on the fixture's agent file. */
export function startTeam({ stateDir, runDir, definition, start = '1', env = {} }: TeamProcess): AgentProcess {
  return startAgentFile('test/fixtures/teams/team.mjs', {
    env: {
      TEAM: JSON.stringify(definition),
      REGENT_AGENT_ID: 'agent-1',
      REGENT_RUN_ID: 'run-1',
      REGENT_AGENT: 'ann/crew',
      REGENT_AGENT_STATE: stateDir,
      REGENT_RUN_DIR: runDir,
      REGENT_START: start,
      ...env,
    },
  })
}
