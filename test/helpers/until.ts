import { setTimeout as pause } from 'node:timers/promises'

/** Polls until `predicate` is true; its last error, or `what`, is told when that does not happen within `deadlineMs`. */
export async function until(predicate: () => boolean | Promise<boolean>, what: string, deadlineMs = 10_000): Promise<void> {
  const end = performance.now() + deadlineMs
  for (;;) {
    let problem: unknown
    try {
      if (await predicate()) return
    } catch (error) {
      problem = error
    }
    if (performance.now() >= end) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: problem })
    await pause(10)
  }
}
