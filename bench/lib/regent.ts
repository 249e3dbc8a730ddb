import { type ChildProcess, spawn } from 'node:child_process'
import { createReadStream, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { AgentView } from '../../src/contract/agents.ts'
import type { Lab } from './bench.ts'
import { type Caller, createCaller } from './http.ts'
import { sweep } from './processes.ts'
import { endChild } from './programs.ts'

export const launcher = join(import.meta.dirname, '../../bin/regent')
const READY_MS = 30_000

/** A real `regent serve` with a home and a project of its own. */
export interface Regent {
  readonly url: string
  readonly pid: number
  readonly token: string
  readonly home: string
  readonly project: string
  /** What a command of the CLI needs to find it. */
  readonly env: Readonly<Record<string, string>>
  /** As the admin. */
  readonly caller: Caller
}

/** Resolves at `regent ready`. At the lab's end its agents, itself and all that they left are ended. */
export async function startRegent(lab: Lab, name = 'regent'): Promise<Regent> {
  const root = lab.folder(name)
  lab.defer(() => sweep(root))
  return serveIn(lab, root)
}

/** A Regent on this folder; one that was killed there before left everything. */
export async function serveIn(lab: Lab, root: string): Promise<Regent> {
  const home = join(root, 'home')
  const log = join(root, 'log')
  const env = {
    PATH: process.env.PATH ?? '',
    HOME: root,
    LANG: 'C.UTF-8',
    REGENT_HOME: home,
    REGENT_PROJECT: root,
    REGENT_PORT: '0',
    REGENT_ORCHESTRATOR_PORT: '0',
  }
  const child = spawn(launcher, ['serve'], { env, cwd: root, stdio: ['ignore', 'pipe', openSync(log, 'a')] })
  lab.defer(() => endChild(child))
  const url = await readyAt(child, log)
  const token = readFileSync(join(home, 'token'), 'utf8').trim()
  const caller = createCaller(url, token)
  lab.defer(() => caller.close())
  return { url, pid: child.pid ?? 0, token, home, project: root, env, caller }
}

async function readyAt(child: ChildProcess, log: string): Promise<string> {
  const timer = setTimeout(() => child.kill('SIGKILL'), READY_MS)
  try {
    if (child.stdout) {
      const lines = createInterface(child.stdout)
      for await (const line of lines) {
        const found = /^regent ready (http:\S+)$/.exec(line)?.[1]
        if (found === undefined) continue
        child.stdout.resume()
        return found
      }
    }
  } finally {
    clearTimeout(timer)
  }
  throw new Error(`Regent did not become ready:\n${await tailOf(log)}`)
}

async function tailOf(file: string): Promise<string> {
  const lines: string[] = []
  for await (const line of createInterface(createReadStream(file))) {
    lines.push(line)
    if (lines.length > 20) lines.shift()
  }
  return lines.join('\n')
}

/** The flags that the launcher gave Node: what is compared with Regent gets the same. */
export function flagsOf({ pid }: Regent): string[] {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(1)
  const end = words.findIndex((word) => word === '--' || !word.startsWith('-'))
  return words.slice(0, end)
}

/** `count` agents that only sleep; with `start` they run when this resolves. */
export async function addSleepers(regent: Regent, count: number, start: boolean): Promise<AgentView[]> {
  const agents: AgentView[] = []
  for (let at = 0; at < count; at++) {
    const agent = { kind: 'command', name: `sleeper-${at}`, command: ['sleep', '100000'], policy: { startsecs: 0 } }
    const created = (await regent.caller.call('POST', '/api/v1/agents', { agent })).body as unknown as AgentView
    agents.push(created)
    if (start) await regent.caller.call('POST', `/api/v1/agents/${created.id}/start`, { wait: true })
  }
  return agents
}
