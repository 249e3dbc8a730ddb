import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Which process this is or was: a pid alone is used again, these three together are not. */
export interface ProcessIdentity {
  readonly pid: number
  readonly startTime: string
  readonly bootId: string
}

/** undefined when no process has that pid now. */
export function identityOf(pid: number): ProcessIdentity | undefined {
  const startTime = process.platform === 'linux' ? startTimeOnLinux(pid) : startTimeFromPs(pid)
  return startTime === undefined ? undefined : { pid, startTime, bootId: bootId() }
}

/** Whether exactly that process still runs. */
export function isAlive(identity: ProcessIdentity): boolean {
  const now = identityOf(identity.pid)
  return now !== undefined && now.startTime === identity.startTime && now.bootId === identity.bootId
}

/** In clock ticks since boot. A process's name may hold blanks and brackets: fields are counted after the last `)`. */
function startTimeOnLinux(pid: number): string | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  // Dead, though its parent has not been told yet.
  return state === 'Z' || state === 'X' ? undefined : fields[18]
}

function startTimeFromPs(pid: number): string | undefined {
  try {
    const said = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8', env: { LC_ALL: 'C', PATH: '/bin:/usr/bin' } })
    return said.trim() || undefined
  } catch {
    return undefined
  }
}

function bootId(): string {
  try {
    if (process.platform === 'linux') return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return execFileSync('/usr/sbin/sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8' }).trim()
  } catch {
    // Hidden from this process: the start time has to do.
    return ''
  }
}
