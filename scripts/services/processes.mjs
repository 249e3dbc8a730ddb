// Processes of the test servers: started with a mark in their environment, ended with everything that carries it.
import { spawn } from 'node:child_process'
import { closeSync, openSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { home } from './home.mjs'
import { alive, contents, parentOf, startTime } from './identity.mjs'
import { probe } from './probes.mjs'

const homeMark = 'REGENT_TEST_SERVICES_HOME'
const nameMark = 'REGENT_TEST_SERVICE'
const environment = (name, more) => ({ PATH: process.env.PATH, LANG: 'C.UTF-8', ...more, [homeMark]: home, [nameMark]: name })

/** Starts a program in a session of its own with its output in a file; it lives on when we end. */
export function launch(name, { command, args, log, cwd, user, env = {} }) {
  const output = openSync(log, 'w')
  const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid }
  const child = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ['ignore', output, output],
    env: environment(name, env),
    ...identity,
  })
  closeSync(output)
  const failed = new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('exit', (code, signal) => resolve(`ended at once (${signal ?? code})`))
  })
  child.unref()
  return { pid: child.pid, startTime: startTime(child.pid), log, failed }
}

/** Runs a program to its end; throws with the end of what it printed when it fails. */
export async function finish(name, { command, args, cwd, user, env = {}, timeoutMs = 120_000 }) {
  const child = spawn(command, args, {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    env: environment(name, env),
    ...(user && { uid: user.uid, gid: user.gid }),
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      output += text
    })
  const result = await new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message))
    child.on('close', (code, signal) => resolve(code === 0 ? undefined : `ended with ${signal ?? code}`))
  })
  if (result !== undefined) throw new Error(`${command} ${args[0]} ${result}\n${tail(output)}`)
  return output
}

/** Waits until every address answers as ready; throws as soon as the process has ended, or at the deadline. */
export async function ready(started, addresses, deadlineMs) {
  const deadline = performance.now() + deadlineMs
  let ended
  started.failed.then((reason) => {
    ended = reason
  })
  for (const address of addresses)
    for (;;) {
      const reason = await probe(address)
      if (reason === undefined) break
      if (ended !== undefined || performance.now() > deadline) {
        const why = ended ?? `was not ready after ${deadlineMs / 1000} s: ${reason}`
        throw new Error(`${why}\n${tail(contents(started.log))}`)
      }
      await sleep(50)
    }
}

const tail = (text) => text.trimEnd().split('\n').slice(-15).join('\n')

/** Every living process of the named server, or of all, and every descendant of one. */
export function marked(name) {
  const wanted = [`${homeMark}=${home}`, ...(name === undefined ? [] : [`${nameMark}=${name}`])]
  const pids = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
  const parents = new Map(pids.map((pid) => [Number(pid), parentOf(pid)]))
  const found = new Set([...parents.keys()].filter((pid) => carries(pid, wanted)))
  for (let before = -1; before !== found.size; ) {
    before = found.size
    for (const [pid, parent] of parents) if (found.has(parent)) found.add(pid)
  }
  return [...found].map(described).filter((one) => one.startTime !== undefined)
}

function carries(pid, wanted) {
  const variables = contents(`/proc/${pid}/environ`).split('\0')
  return wanted.every((mark) => variables.includes(mark))
}

function described(pid) {
  const command = contents(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim()
  return { pid, startTime: startTime(pid), command: command.slice(0, 100) }
}

/** Signals the processes that are still the ones they were. */
export function signal(processes, name) {
  for (const found of processes)
    if (alive(found))
      try {
        process.kill(found.pid, name)
      } catch (error) {
        if (error.code !== 'ESRCH') throw error
      }
}

/** Waits until none of the processes is alive; false at the deadline. */
export async function gone(processes, deadlineMs) {
  const deadline = performance.now() + deadlineMs
  while (processes.some(alive)) {
    if (performance.now() > deadline) return false
    await sleep(25)
  }
  return true
}
