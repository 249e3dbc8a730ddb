import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Lab } from './bench.ts'
import { within } from './until.ts'

/** Runs `work` in a lab of its own and ends all that it started, when it fails or is interrupted too. */
export async function inLab<T>(n: number, say: (text: string) => void, work: (lab: Lab) => Promise<T>): Promise<T> {
  const root = mkdtempSync(join(tmpdir(), 'regent-bench-'))
  const ends: (() => unknown)[] = [() => rmSync(root, { recursive: true, force: true, maxRetries: 3 })]
  const interrupt = new AbortController()
  const stop = (signal: NodeJS.Signals): void => interrupt.abort(new Error(`interrupted by ${signal}`))
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const name of signals) process.once(name, stop)
  const interrupted = Promise.withResolvers<never>()
  interrupt.signal.addEventListener('abort', () => interrupted.reject(interrupt.signal.reason))
  const lab: Lab = {
    n,
    folder(name) {
      const folder = join(root, name)
      mkdirSync(folder)
      return folder
    },
    defer: (end) => void ends.push(end),
    signal: interrupt.signal,
    say,
  }
  try {
    return await Promise.race([work(lab), interrupted.promise])
  } finally {
    for (const end of ends.reverse()) await endOne(end, say)
    for (const name of signals) process.off(name, stop)
  }
}

async function endOne(end: () => unknown, say: (text: string) => void): Promise<void> {
  try {
    await within(Promise.resolve(end()), 'its end', 30_000)
  } catch (error) {
    say(`could not be ended: ${error instanceof Error ? error.message : String(error)}`)
  }
}
