import { readFileSync, watch } from 'node:fs'
import { until, within } from './until.ts'

/** Kills the life that `index` stands for in a file to which each life appends its pid; ms until the next life wrote its own. */
export async function killOne(lives: string, count: number, index: number): Promise<number> {
  const first = await until(
    () => (linesOf(lives).length >= count + index ? linesOf(lives) : undefined),
    `${count + index} lives in ${lives}`,
  )
  const pid = Number(first[index])
  const { promise, resolve } = Promise.withResolvers<number>()
  let from = 0
  const watcher = watch(lives, () => {
    if (linesOf(lives).length > first.length) resolve(performance.now() - from)
  })
  try {
    from = performance.now()
    process.kill(pid, 'SIGKILL')
    return await within(promise, 'the next life', 30_000)
  } finally {
    watcher.close()
  }
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean)
  } catch {
    return [] // Nobody wrote yet.
  }
}
