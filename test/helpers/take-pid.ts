import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

// Between the number and the fork the shell does nothing, yet others on the machine may be faster: who has the number then is a stranger
// as well, and for any other it tries again.
const script = `
i=0
while [ $i -lt 2000 ]; do
  [ -d "/proc/$1" ] && { echo taken; exit; }
  echo $(($1 - 1)) > /proc/sys/kernel/ns_last_pid || { echo denied; exit; }
  sleep 1000 > /dev/null &
  [ $! = $1 ] && { echo taken; wait; exit; }
  kill -KILL $!
  i=$((i + 1))
done
echo occupied`

/** Gives this free pid to a process of somebody else, which ends with the test. False where the system lets nobody choose. */
export async function takePid(pid: number): Promise<boolean> {
  const shell = spawn('/bin/sh', ['-c', script, 'sh', String(pid)], { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  onTestFinished(() => {
    if (shell.pid !== undefined && shell.exitCode === null) process.kill(-shell.pid, 'SIGKILL')
  })
  for await (const answer of createInterface({ input: shell.stdout })) {
    if (answer === 'occupied') throw new Error(`no process could be given the pid ${pid}`)
    return answer === 'taken'
  }
  throw new Error('the shell that takes the pid ended')
}
