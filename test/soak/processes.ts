import { readdirSync, readFileSync } from 'node:fs'

/** A live process as /proc shows it. */
export interface Process {
  readonly pid: number
  /** Tells it from a later one with the same pid. */
  readonly start: string
  readonly parent: number
  readonly words: string
  /** The marks of a run, where it has them. */
  readonly agentId: string | undefined
  readonly runId: string | undefined
}

/** Every live process of this machine; zombies are not. */
export function processes(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const found = /^\d+$/.test(name) ? processOf(Number(name)) : undefined
    return found ? [found] : []
  })
}

/** undefined when it is gone, or a zombie. */
export function processOf(pid: number): Process | undefined {
  const stat = /^\d+ \(.*\) (\S) (\d+) (.*)$/s.exec(read(`/proc/${pid}/stat`))
  if (!stat || stat[1] === 'Z' || stat[1] === 'X') return undefined
  const environment = read(`/proc/${pid}/environ`)
  const mark = (name: string) => new RegExp(`(?:^|\\0)${name}=([^\\0]*)`).exec(environment)?.[1]
  return {
    pid,
    start: stat[3]?.split(' ')[17] ?? '',
    parent: Number(stat[2]),
    words: read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim(),
    agentId: mark('REGENT_AGENT_ID'),
    runId: mark('REGENT_RUN_ID'),
  }
}

export const told = ({ pid, parent, words, agentId, runId }: Process): string =>
  `pid ${pid} (parent ${parent}, agent ${agentId}, run ${runId}): ${words.slice(0, 160)}`

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
