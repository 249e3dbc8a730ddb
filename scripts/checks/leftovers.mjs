// Finds processes by a mark in their environment, as Linux shows it; elsewhere it finds none.
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Waits a little for processes with the mark to end by themselves, kills those that do not, and names them. */
export async function leftovers(mark, graceMs = 2_000) {
  const deadline = performance.now() + graceMs
  while (performance.now() < deadline && marked(mark).length > 0) await sleep(50)
  const left = marked(mark)
  for (const { pid } of left) kill(pid)
  return left.map(({ pid, command }) => `pid ${pid} ${command}`)
}

/** Living processes whose environment holds `NAME=value`, ourselves excepted. */
function marked(mark) {
  if (process.platform !== 'linux') return []
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((pid) => {
      const environment = contents(`/proc/${pid}/environ`)
      if (!environment.split('\0').includes(mark) || state(pid) === 'Z') return []
      return [{ pid: Number(pid), command: contents(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim() }]
    })
}

const state = (pid) => contents(`/proc/${pid}/stat`).split(') ').at(-1)?.charAt(0)

function contents(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}
