import { closeSync, openSync, readFileSync, readlinkSync, readSync } from 'node:fs'
import { systemCode } from '../../../kernel/errors.ts'

/** One process, as the kernel tells. Times in clock ticks. */
export interface ProcessStat {
  readonly pid: number
  readonly parent: number
  readonly group: number
  readonly session: number
  /** One letter: Z and X are dead, T is stopped. */
  readonly state: string
  readonly startTime: string
  readonly cpuTicks: number
  readonly residentPages: number
}

export const onLinux = process.platform === 'linux'

let buffer = Buffer.allocUnsafe(64 * 1024)

/**
 * A file of /proc as it is now, valid until the next call; undefined when the process is gone or not ours to see. Throws whatever
 * else went wrong, so that a process is never taken for dead because Regent itself ran out of something.
 */
export function readProc(path: string): Buffer | undefined {
  try {
    const file = openSync(path, 'r')
    try {
      let length = 0
      for (let got = -1; got !== 0; length += got) {
        if (length === buffer.length) buffer = Buffer.concat([buffer], buffer.length * 2)
        got = readSync(file, buffer, length, buffer.length - length, null)
      }
      return buffer.subarray(0, length)
    } finally {
      closeSync(file)
    }
  } catch (error) {
    return orAbsent(error)
  }
}

/** Where a link of /proc points to; undefined as with `readProc`. */
export function readProcLink(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch (error) {
    return orAbsent(error)
  }
}

export function linuxStat(pid: number): ProcessStat | undefined {
  const text = readProc(`/proc/${pid}/stat`)?.toString('latin1')
  if (text === undefined) return undefined
  // The name in the second field may hold anything, brackets included.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (at: number) => Number(fields[at - 3])
  return {
    pid,
    state: fields[0] ?? 'X',
    parent: number(4),
    group: number(5),
    session: number(6),
    startTime: fields[19] ?? '',
    cpuTicks: number(14) + number(15) + number(16) + number(17),
    residentPages: number(24),
  }
}

/** Clock ticks since boot, as in `startTime`. */
export function uptimeTicks(): number {
  return Number.parseFloat(readProc('/proc/uptime')?.toString('latin1') ?? '0') * units().ticksPerSecond
}

let knownUnits: { pageBytes: number; ticksPerSecond: number } | undefined

/** The kernel tells each process its page size (6) and clock ticks (17) in pairs of words. */
export function units(): { pageBytes: number; ticksPerSecond: number } {
  if (knownUnits) return knownUnits
  const words = readFileSync('/proc/self/auxv')
  const find = (key: number): number | undefined => {
    for (let at = 0; at + 16 <= words.length; at += 16)
      if (words.readBigUInt64LE(at) === BigInt(key)) return Number(words.readBigUInt64LE(at + 8))
    return undefined
  }
  knownUnits = { pageBytes: find(6) ?? 4096, ticksPerSecond: find(17) ?? 100 }
  return knownUnits
}

function orAbsent(error: unknown): undefined {
  const code = systemCode(error)
  if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return undefined
  throw error
}
