import { setTimeout as pause } from 'node:timers/promises'
import { isStill } from './identity.ts'
import { type ProcessStat, readProc } from './proc.ts'
import type { ProcessTree } from './process-tree.ts'
import type { PidRecord } from './run-directory.ts'

/**
 * The first process of a pid namespace: reaps whoever loses his parent, and ends with the code of the agent, which ends all the
 * rest. The kernel keeps every signal but KILL from it that it has no handler for. What the shell says about ends is not the agent's output.
 */
const INIT = 'exec 4>&2 2> /dev/null; (exec "$@" 2>&4 4>&-); exit "$?"'

/** What stands before a command to give it a pid namespace that ends with it, and with the process in front of it. */
export function inPidNamespace(unshare: string, shell: string, ownUser: boolean): string[] {
  const user = ownUser ? ['--user', '--map-current-user'] : []
  return [unshare, ...user, '--pid', '--fork', '--kill-child=KILL', '--mount-proc', '--', shell, '-c', INIT, 'regent-init']
}

const TRIES = 200

/**
 * The agent itself, behind the process on record and the namespace's first: its second one. Waits while that is still being
 * started; undefined when it is gone.
 */
export async function insideNamespace(tree: ProcessTree, record: PidRecord): Promise<ProcessStat | undefined> {
  for (let tries = 0; tries < TRIES && isStill(record); tries += 1) {
    const processes = [...(await tree.stats()).processes.values()]
    const init = processes.find(({ parent }) => parent === record.pid)
    const inside = init ? processes.filter(({ parent }) => parent === init.pid) : []
    if (inside.length > 0) return inside.find(({ pid }) => numberInside(pid) === 2)
    await pause(5)
  }
  return undefined
}

function numberInside(pid: number): number | undefined {
  const match = /^NSpid:.*\t(\d+)$/m.exec(readProc(`/proc/${pid}/status`)?.toString('latin1') ?? '')
  return match ? Number(match[1]) : undefined
}
