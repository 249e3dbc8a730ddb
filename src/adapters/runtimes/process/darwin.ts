// macOS has no /proc: who a process is comes from `ps`, and the boot from `sysctl`. Stop level D: there, a child that left the
// agent's process group is not found. Not run by any test here.
import { execFileSync } from 'node:child_process'
import type { ProcessStat } from './proc.ts'

export function darwinBootId(): string {
  return ask('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid']) ?? 'unknown'
}

export function darwinStat(pid: number): ProcessStat | undefined {
  const line = ask('/bin/ps', ['-o', 'ppid=,pgid=,state=,lstart=', '-p', String(pid)])
  const match = /^\s*(\d+)\s+(\d+)\s+(\S)\S*\s+(.+)$/.exec(line ?? '')
  if (!match) return undefined
  const [, parent = '', group = '', state = '', started = ''] = match
  const startTime = started.trim().replaceAll(/\s+/g, '_')
  return { pid, parent: Number(parent), group: Number(group), session: 0, state, startTime, cpuTicks: 0, residentPages: 0 }
}

function ask(file: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(file, args, { encoding: 'utf8', env: { LC_ALL: 'C' }, stdio: ['ignore', 'pipe', 'ignore'] }).trim() || undefined
  } catch {
    return undefined
  }
}
