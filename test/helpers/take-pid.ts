import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { onTestFinished } from 'vitest'

/** A process of somebody else that has exactly this free pid; undefined where the system lets nobody choose. Ends with the test. */
export async function takePid(pid: number): Promise<ChildProcess | undefined> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    try {
      writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1))
    } catch {
      return undefined
    }
    const child = spawn('sleep', ['1000'], { stdio: 'ignore', detached: true })
    await once(child, 'spawn')
    if (child.pid === pid) {
      onTestFinished(() => void child.kill('SIGKILL'))
      return child
    }
    child.kill('SIGKILL')
  }
  throw new Error(`no process could be given the pid ${pid}`)
}
