import { readdirSync, readFileSync } from 'node:fs'

/** Shell text of an agent that tries to get away in every way at once; each of its processes sleeps for `own` seconds. */
export const getaway = (own: string): string => `
  sleep ${own} &
  setsid sleep ${own} &
  setsid sh -c 'sleep ${own} > /dev/null & exit' &
  env -i /bin/sh -c 'exec > /dev/null 2>&1 < /dev/null; setsid /bin/sh -c "sleep ${own} & exit" & exit' &
  (trap '' TERM INT HUP; sleep ${own}) &
  sh -c 'kill -STOP $$; sleep ${own}' &
  trap '' TERM
  echo ready
  sleep ${own}
  sleep ${own}`

let seconds = 200_000
/** A time to sleep that tells the processes of one test from all others. */
export function ownTime(): string {
  seconds += 1
  return String(seconds + process.pid * 1e-7)
}

/** Every live process that has this text in its arguments. */
export const processesWith = (text: string): number[] =>
  readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && shows(pid, text))

function shows(pid: number, text: string): boolean {
  try {
    const alive = !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
    return alive && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(text)
  } catch {
    return false // It is gone.
  }
}
