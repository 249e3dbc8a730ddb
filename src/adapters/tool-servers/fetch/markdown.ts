import { Worker } from 'node:worker_threads'

const longestMs = 5_000
const memoryMb = 256

/** Markdown of an HTML page; undefined where the page cannot be converted within bounds of time and memory. */
export async function markdownOf(html: string, signal: AbortSignal): Promise<string | undefined> {
  signal.throwIfAborted()
  const worker = new Worker(new URL('./markdown-worker.ts', import.meta.url), {
    workerData: html,
    env: {},
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: memoryMb },
  })
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const giveUp = () => resolve(undefined)
  const timer = setTimeout(giveUp, longestMs)
  signal.addEventListener('abort', giveUp, { once: true })
  worker.once('message', (text) => resolve(String(text)))
  worker.once('error', giveUp)
  worker.once('exit', giveUp)
  const text = await promise
  clearTimeout(timer)
  signal.removeEventListener('abort', giveUp)
  await worker.terminate()
  signal.throwIfAborted()
  return text
}
