import type { Policy } from '../../contract/policy.ts'
import type { Exit } from '../../ports/runtime.ts'
import type { LifeRow } from '../../ports/store.ts'

const CAP_MS = 60_000

/** ms that the n-th death of a row waits (n from 1): 0, 1 s, 2 s, 4 s … 60 s, each ±20 % (`random` in [0,1)). */
export function restartDelay(death: number, random: number): number {
  if (death <= 1) return 0
  return Math.min(CAP_MS, 1000 * 2 ** (death - 2)) * (0.8 + 0.4 * random)
}

export type Verdict =
  | { readonly to: 'EXITED' | 'FATAL'; readonly reason: string }
  | { readonly to: 'BACKOFF'; readonly reason: string; readonly delayMs: number }

export interface Death {
  readonly life: Pick<LifeRow, 'state' | 'deaths' | 'earlyDeaths'>
  readonly policy: Policy
  readonly exit: Exit
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
  if (exit.kind === 'exited' && exit.code === 127) return fatal(`no such program (${words}): check the command and PATH`, counted)
  if (exit.kind === 'exited' && exit.code === 126)
    return fatal(`the program cannot be executed (${words}): check its permissions and format`, counted)
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

function restarts(policy: Policy, exit: Exit): boolean {
  if (policy.restart === 'always') return true
  if (policy.restart === 'never') return false
  return exit.kind !== 'exited' || exit.code !== 0
}

export function exitWords(exit: Exit): string {
  if (exit.kind === 'exited') return `exited with code ${exit.code}`
  if (exit.kind === 'signalled') return `ended by ${exit.signal}`
  return `lost: ${exit.reason}`
}

/** The columns of an exit. A lost run has no code. */
export function exitColumns(exit: Exit): { exitCode: number | null; exitSignal: string | null; exitReason: string } {
  return {
    exitCode: exit.kind === 'lost' ? null : exit.code,
    exitSignal: exit.kind === 'signalled' ? exit.signal : null,
    exitReason: exitWords(exit),
  }
}
