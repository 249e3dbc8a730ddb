import { readFileSync } from 'node:fs'
import { mkdir, open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../kernel/clock.ts'
import { RegentError, systemCode } from '../kernel/errors.ts'

const WAIT_MS = 5_000
const LOOK_MS = 50

/**
 * Holds an agent's state folder for this process, so that no two runs ever write one journal. A holder that is dead counts for nothing;
 * one that lives is waited for, since it may be stopping. Throws ILLEGAL_STATE when it does not end. The answer gives the folder back.
 */
export async function holdFolder(dir: string, clock: Clock): Promise<() => Promise<void>> {
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, 'journal.lock')
  const mine = identityOf(process.pid)
  const deadline = clock.elapsed() + WAIT_MS
  while (!(await create(path, mine))) {
    const holder = await readIfThere(path)
    const pid = Number(holder.split(' ')[0])
    const late = clock.elapsed() > deadline
    // An empty file is being written, or was left by a crash just there.
    if (holder === '' ? late : holder !== identityOf(pid)) await rm(path, { force: true })
    else if (late) throw new RegentError('ILLEGAL_STATE', `another run of this agent, pid ${pid}, is still alive`)
    else await clock.sleep(LOOK_MS)
  }
  return () => rm(path, { force: true })
}

async function create(path: string, text: string): Promise<boolean> {
  try {
    const file = await open(path, 'wx', 0o600)
    await file.writeFile(text)
    await file.close()
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return ''
    throw error
  }
}

/** A process that nothing later can be taken for: its pid, when it began, and the boot of the machine; empty where it is gone. */
function identityOf(pid: number): string {
  if (!Number.isInteger(pid) || pid <= 0) return ''
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const started = fields[19]
    if (fields[0] === 'Z') return ''
    return `${pid} ${started} ${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH') return process.platform === 'linux' ? '' : livingPid(pid)
    throw error
  }
}

/** Where there is no /proc: good enough to tell the living from the dead. */
function livingPid(pid: number): string {
  try {
    process.kill(pid, 0)
    return `${pid}`
  } catch (error) {
    if (systemCode(error) === 'EPERM') return `${pid}`
    return ''
  }
}
