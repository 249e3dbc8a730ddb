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

/** The promise's outcome, or an error when there is none in time. */
export async function within<T>(promise: Promise<T>, what: string, deadlineMs = 20_000): Promise<T> {
  const over = new AbortController()
  const late = pause(deadlineMs, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not within ${deadlineMs} ms: ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    late.catch(() => undefined)
    over.abort()
  }
}
