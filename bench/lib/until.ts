import { setTimeout as pause } from 'node:timers/promises'

/** Waits until `look` answers something other than undefined; throws after `deadlineMs`. Not for what is measured: it looks every 5 ms. */
export async function until<T>(look: () => T | undefined | Promise<T | undefined>, what: string, deadlineMs = 20_000): Promise<T> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await pause(5)
  }
}
