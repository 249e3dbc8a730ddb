// Child processes of the checks.
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'

const bin = join(import.meta.dirname, '../../node_modules/.bin')

const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => {
    for (const child of running) child.kill(signal)
    process.exitCode = 1
  })

/** The program `name` of the checkout's own packages, whatever the PATH says. */
export const tool = (name) => join(bin, name)

/** Runs a program to its end: its exit code (128 when a signal ended it) and all it printed, unless `inherit` shows it as it comes. `signal` kills it. */
export function run(command, args, { cwd, env = process.env, inherit = false, signal }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...env, PATH: `${bin}${delimiter}${env.PATH}` },
      stdio: inherit ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    })
    running.add(child)
    let output = ''
    let stdout = ''
    child.stdout?.setEncoding('utf8').on('data', (text) => {
      stdout += text
      output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      output += text
    })
    signal?.addEventListener('abort', () => child.kill('SIGKILL'))
    const end = (code, problem = '') => {
      running.delete(child)
      resolve({ code, stdout, output: output + problem })
    }
    child.on('error', (error) => end(127, `${command}: ${error.message}`))
    child.on('close', (code) => end(code ?? 128))
  })
}
