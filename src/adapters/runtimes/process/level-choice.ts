import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { reasonOf } from '../../../kernel/errors.ts'
import { killAll } from './cgroup.ts'
import { type GroupPart, type Level, levels, type RunGroups, type WantedLevel } from './kept.ts'
import { WRAPPER_PATH } from './options.ts'
import { inPidNamespace } from './pid-namespace.ts'
import { onLinux } from './proc.ts'
import { programIn } from './programs.ts'
import { entrancesOf, type GroupPlaces, makeGroups, removeGroups, set, settingsFor } from './run-groups.ts'

/** What this machine lets Regent do around its runs, found by trying it. */
export interface Choice {
  readonly level: Level
  /** What stands before a command at level B. */
  readonly namespace: readonly string[]
  /** Where groups are made; without `all` where that is of no use. */
  readonly places: RunGroups
  /** Why each better level is not to be had, and each limit, in words. */
  readonly why: Readonly<Partial<Record<Level | GroupPart, string>>>
}

const TRIAL_MS = 5000

/** The best level that works here, or the wanted one; a better one that was asked for is never pretended. */
export async function chooseLevel(shell: string, opened: GroupPlaces, wanted: WantedLevel): Promise<Choice> {
  const why: Partial<Record<Level | GroupPart, string>> = { ...opened.missing }
  if (!onLinux)
    return { level: 'D', namespace: [], places: {}, why: { ...why, A: 'only on Linux', B: 'only on Linux', C: 'only on Linux' } }
  const places: { [Part in GroupPart]?: RunGroups[Part] } = { ...opened.places }
  const trial = await tryGroups(shell, places)
  if (trial !== undefined) why.A = why.all ?? trial
  let namespace: string[] = []
  if (wanted === 'B' || ((wanted === 'auto' || wanted === 'A') && why.A !== undefined)) {
    const tried = await tryNamespace(shell)
    if (typeof tried === 'string') why.B = tried
    else namespace = tried
  }
  const from = wanted === 'auto' ? 0 : levels.indexOf(wanted)
  const level = levels.slice(from).find((one) => why[one] === undefined) ?? 'C'
  return { level, namespace, places, why }
}

/** Why groups cannot end a process here; undefined when they can. Takes what does not work out of `places`. */
async function tryGroups(shell: string, places: { [Part in GroupPart]?: RunGroups[Part] }): Promise<string | undefined> {
  const missing = places.all === undefined
  if (!missing && (await tryGroup(shell, places, true)) === undefined) return undefined
  for (const part of Object.keys(places) as GroupPart[]) {
    const only = { [part]: places[part] }
    const failure = await tryGroup(shell, only, part === 'all')
    if (failure === undefined) continue
    delete places[part]
    if (part === 'all') return failure
  }
  return missing ? 'no cgroup can be made here' : undefined
}

async function tryGroup(shell: string, places: RunGroups, end: boolean): Promise<string | undefined> {
  let groups: RunGroups = {}
  try {
    groups = makeGroups(places, `.try-${process.pid}`)
    set(settingsFor(groups, { memory_bytes: 2 ** 30, cpus: 1, pids: 64 }))
    const script = 'for file; do echo 0 > "$file" || exit 1; done; echo in; read -r _'
    const child = spawn(shell, ['-c', script, 'sh', ...entrancesOf(groups)], {
      env: { PATH: WRAPPER_PATH },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    const exit = once(child, 'exit', { signal: AbortSignal.timeout(TRIAL_MS) })
    exit.catch(() => {})
    try {
      await Promise.race([once(child.stdout, 'data'), exit.then(() => Promise.reject(new Error('a process cannot enter it')))])
      if (end && groups.all) killAll(groups.all)
      else child.stdin.end()
      await exit
    } finally {
      child.kill('SIGKILL')
    }
    return undefined
  } catch (error) {
    return reasonOf(error)
  } finally {
    removeGroups(groups)
  }
}

/** What gives a command a pid namespace here, or why that cannot be had. */
async function tryNamespace(shell: string): Promise<string[] | string> {
  const unshare = programIn('unshare')
  if (unshare === undefined) return 'the program unshare was not found'
  const [program = '', ...args] = inPidNamespace(unshare, shell, process.getuid?.() !== 0)
  const failure = await new Promise<string | undefined>((resolve) =>
    execFile(program, [...args, 'true'], { env: { PATH: WRAPPER_PATH }, timeout: TRIAL_MS }, (error, _out, said) =>
      resolve(error ? said.trim() || reasonOf(error) : undefined),
    ),
  )
  return failure ?? [program, ...args]
}
