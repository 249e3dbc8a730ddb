import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { RegentError, reasonOf } from '../../../kernel/errors.ts'
import type { ExecOutcome } from '../../../ports/runtime.ts'
import { entrance, killAll, processesIn, removeCgroup } from './cgroup.ts'
import type { Enclosure } from './enclosure.ts'
import { isDead, isStill, type ProcessKey, signalExactly, statOf } from './identity.ts'
import type { Cgroup, RunGroups } from './kept.ts'
import { type ProcessStat, readProc } from './proc.ts'
import { membersOf, type ProcessTree } from './process-tree.ts'
import { programIn } from './programs.ts'
import { foldersIn } from './run-groups.ts'

export interface ExecContext {
  readonly runId: string
  readonly enclosure: Enclosure
  readonly tree: ProcessTree
  readonly clock: { sleep(ms: number): Promise<void>; after(ms: number, work: () => void): () => void }
}

export interface ExecOptions {
  readonly timeoutMs: number
  readonly signal?: AbortSignal
}

const KEPT_BYTES = 4096
/** How long what is printed is waited for after the end of the program. */
const DRAIN_MS = 100
const ENDED_MS = 2000
const PAUSE_MS = 5
/** Becomes the program once it is told that it is in its groups. */
const HELD = 'read -r _ && exec "$@" < /dev/null'

let count = 0

/**
 * Runs a program with the environment, account and groups of a live agent, in its folder; whatever it started ends with it. Throws
 * ILLEGAL_STATE when the agent is gone, START_FAILED when nothing could be started, and what `signal` was aborted with.
 */
export async function execBeside(context: ExecContext, argv: readonly string[], { timeoutMs, signal }: ExecOptions): Promise<ExecOutcome> {
  signal?.throwIfAborted()
  const env = await environmentOf(context)
  signal?.throwIfAborted()
  const { kept } = context.enclosure
  const { place, enter } = groupsFor(kept.groups)
  const ended = Promise.withResolvers<'late' | 'aborted'>()
  const aborted = () => ended.resolve('aborted')
  signal?.addEventListener('abort', aborted, { once: true })
  const cancel = context.clock.after(timeoutMs, () => ended.resolve('late'))
  try {
    const setpriv = kept.account ? [programIn('setpriv') ?? 'setpriv', '--no-new-privs', '--'] : []
    const child = spawn('/bin/sh', ['-c', HELD, 'sh', ...setpriv, ...argv], {
      cwd: kept.cwd,
      env,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...(kept.account ?? {}),
    })
    const printed = tailOf(child)
    const exit = exitOf(child)
    exit.catch(() => {})
    const main = child.pid === undefined ? undefined : statOf(child.pid)
    if (main) letIn(child, main.pid, enter)
    const outcome = await Promise.race([exit, ended.promise])
    await endAll(context, place, main)
    await Promise.race([printed.done, context.clock.sleep(DRAIN_MS)])
    printed.stop()
    signal?.throwIfAborted()
    return { code: typeof outcome === 'number' ? outcome : null, output: printed.text() }
  } finally {
    cancel()
    signal?.removeEventListener('abort', aborted)
    if (place) removeCgroup(place)
  }
}

/** What the agent was started with. Waits while it is still being started. */
async function environmentOf({ enclosure, clock, runId }: ExecContext): Promise<Record<string, string>> {
  const agent: ProcessKey | undefined = await enclosure.agent()
  for (let tries = 0; agent && isStill(agent) && tries < 200; tries += 1) {
    const entries = (readProc(`/proc/${agent.pid}/environ`)?.toString('utf8') ?? '').split('\0').flatMap((entry) => {
      const at = entry.indexOf('=')
      return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)] as const] : []
    })
    if (entries.length > 0 && entries.some(([name]) => name === 'REGENT_RUN_ID')) return Object.fromEntries(entries)
    await clock.sleep(PAUSE_MS)
  }
  throw new RegentError('ILLEGAL_STATE', `the agent of run ${runId} is not there to run a program beside`)
}

/** A group of its own inside one of the run's, where it has any that can be listed, and the run's others. */
function groupsFor(groups: RunGroups): { readonly place: Cgroup | undefined; readonly enter: readonly Cgroup[] } {
  const outer = groups.all ?? groups.pids ?? groups.memory
  if (!outer) return { place: undefined, enter: [] }
  count += 1
  const place = { version: outer.version, dir: join(outer.dir, `exec-${process.pid}-${count}`) }
  mkdirSync(place.dir)
  return { place, enter: [...foldersIn(groups).filter(({ dir }) => dir !== outer.dir), place] }
}

function letIn(child: ChildProcess, pid: number, enter: readonly Cgroup[]): void {
  try {
    for (const group of enter) writeFileSync(entrance(group), String(pid))
    child.stdin?.on('error', () => {})
    child.stdin?.end('\n')
  } catch (error) {
    child.kill('SIGKILL')
    throw new RegentError('START_FAILED', `the program cannot join the groups of its agent: ${reasonOf(error)}`, { cause: error })
  }
}

/** 128 + n for signal n. */
async function exitOf(child: ChildProcess): Promise<number> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return code ?? 128 + (signal === null ? 0 : constants.signals[signal])
  } catch (error) {
    throw new RegentError('START_FAILED', `the program cannot be started: ${reasonOf(error)}`, { cause: error })
  }
}

/** The last of what it prints. */
function tailOf({ stdout, stderr }: ChildProcess) {
  let kept = Buffer.alloc(0)
  const streams = [stdout, stderr].filter((stream) => stream !== null)
  for (const stream of streams)
    stream.on('data', (piece: Buffer) => {
      kept = Buffer.concat([kept, piece]).subarray(-KEPT_BYTES)
    })
  return {
    done: Promise.all(streams.map((stream) => once(stream, 'end').catch(() => {}))),
    stop: () => {
      for (const stream of streams) stream.destroy()
    },
    text: () => kept.toString('utf8'),
  }
}

/** The program with all that it started; without groups that is what descends from it or shares its session. */
async function endAll({ clock, tree }: ExecContext, place: Cgroup | undefined, main: ProcessStat | undefined): Promise<void> {
  const known = new Map<string, ProcessStat>()
  const left = async (): Promise<ProcessStat[]> => {
    if (place) return processesIn(place)
    if (!main) return []
    for (const stat of membersOf(await tree.stats(), '', main.pid, [main, ...known.values()]))
      known.set(`${stat.pid} ${stat.startTime}`, stat)
    return [...known.values()].filter((stat) => isStill(stat) && !isDead(stat))
  }
  for (let waited = 0; waited < ENDED_MS; waited += PAUSE_MS) {
    const found = await left()
    if (found.length === 0) return
    if (place) killAll(place)
    for (const stat of found) signalExactly(stat, 'SIGKILL')
    await clock.sleep(PAUSE_MS)
  }
}
