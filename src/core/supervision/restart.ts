import type { Policy } from '../../contract/policy.ts'
import type { Exit } from '../../ports/runtime.ts'
import type { LifeRow } from '../../ports/store.ts'

const CAP_MS = 60_000

/** ms that the n-th death of a row waits (n from 1): 0, 1 s, 2 s, 4 s … 60 s, each ±20 % (`random` in [0,1)). */
export function restartDelay(death: number, random: number): number {
  if (death <= 1) return 0
  return Math.min(CAP_MS, 1000 * 2 ** (death - 2)) * (0.8 + 0.4 * random)
}

/** How a run ended; `unfit`: Regent ended it, because it did not do its work. */
export type End = Exit & { readonly unfit?: string | undefined }

export type Verdict =
  | { readonly to: 'EXITED' | 'FATAL'; readonly reason: string }
  | { readonly to: 'BACKOFF'; readonly reason: string; readonly delayMs: number }

export interface Death {
  readonly life: Pick<LifeRow, 'state' | 'deaths' | 'earlyDeaths'>
  readonly policy: Policy
  readonly exit: End
  /** How long the run lived. */
  readonly livedMs: number
  readonly random: number
}

export interface Judgement {
  readonly verdict: Verdict
  readonly deaths: number
  readonly earlyDeaths: number
}

/** What follows a death that nobody asked for (DESIGN.md, States). */
export function judge({ life, policy, exit, livedMs, random }: Death): Judgement {
  const words = exitWords(exit)
  const early = life.state === 'STARTING'
  const rowEnded = livedMs >= Math.max(10 * policy.startsecs, 1) * 1000
  const deaths = rowEnded ? 1 : life.deaths + 1
  const earlyDeaths = early ? life.earlyDeaths + 1 : 0
  const counted = { deaths, earlyDeaths }
  const failed = exit.kind === 'exited' && !succeeded(policy, exit) ? exit.code : 0
  if (failed === 127) return fatal(`no such program (${words}): check the command and PATH`, counted)
  if (failed === 126) return fatal(`the program cannot be executed (${words}): check its permissions and format`, counted)
  if (!restarts(policy, exit)) return { verdict: { to: 'EXITED', reason: `${words}; its restart policy is ${policy.restart}` }, ...counted }
  if (early && earlyDeaths > policy.startretries)
    return fatal(`${words} before it had run for ${policy.startsecs} s, ${earlyDeaths} times in a row: given up`, counted)
  const delayMs = restartDelay(deaths, random)
  const when = delayMs === 0 ? 'restarted at once' : `restarted in ${(delayMs / 1000).toFixed(1)} s`
  return { verdict: { to: 'BACKOFF', reason: `${words}; ${when}`, delayMs }, ...counted }
}

function fatal(reason: string, counted: { deaths: number; earlyDeaths: number }): Judgement {
  return { verdict: { to: 'FATAL', reason }, ...counted }
}

/** Whether such an end is followed by a restart. */
export function restarts(policy: Policy, exit: End): boolean {
  if (policy.restart === 'always') return true
  if (policy.restart === 'never') return false
  return !succeeded(policy, exit)
}

/** Whether an end was a success in the eyes of its policy. */
function succeeded({ exit_codes }: Pick<Policy, 'exit_codes'>, exit: End): boolean {
  return exit.unfit === undefined && exit.kind === 'exited' && isSuccess(exit_codes, exit.code)
}

export const isSuccess = (exitCodes: Policy['exit_codes'], code: number): boolean => (exitCodes ?? [0]).includes(code)

/**
 * What follows an end that came with a restart of the machine: no death, since it was not the agent's doing. undefined where it had
 * ended by itself before that, and for good.
 */
export function judgeReboot(policy: Policy, exit: Exit): Verdict | { readonly to: 'STOPPED'; readonly reason: string } | undefined {
  if (exit.kind === 'exited' && !restarts(policy, exit)) return undefined
  const words = 'the machine was restarted'
  if (policy.autostart === false)
    return { to: 'STOPPED', reason: `${words}, and it is not to be started again after that (autostart: false)` }
  return { to: 'BACKOFF', reason: `${words}; started again`, delayMs: 0 }
}

export function exitWords(exit: End): string {
  if (exit.unfit !== undefined) return `${exit.unfit} (${exitWords({ ...exit, unfit: undefined })})`
  if (exit.kind === 'lost') return `lost: ${exit.reason}`
  const words = exit.kind === 'exited' ? `exited with code ${exit.code}` : `ended by ${exit.signal}`
  if (!exit.oom) return words
  const limit = exit.memoryLimit === undefined ? 'its limit' : `its limit of ${inBytes(exit.memoryLimit)}`
  return `${words}: used more memory than ${limit} (out of memory)`
}

/** In the largest unit that makes it a whole number. */
function inBytes(bytes: number): string {
  const [unit, name] = (
    [
      [2 ** 30, 'GiB'],
      [2 ** 20, 'MiB'],
      [2 ** 10, 'KiB'],
    ] as const
  ).find(([size]) => bytes % size === 0) ?? [1, 'bytes']
  return `${bytes / unit} ${name}`
}

/** The columns of an exit. A lost run has no code. */
export function exitColumns(exit: End): { exitCode: number | null; exitSignal: string | null; exitReason: string } {
  return {
    exitCode: exit.kind === 'lost' ? null : exit.code,
    exitSignal: exit.kind === 'signalled' ? exit.signal : null,
    exitReason: exitWords(exit),
  }
}
