// Becomes the agent with exactly the environment that fd 3 holds as JSON in its last line, where its names are more than a shell can carry.
//   node exec-agent.mjs COMMAND [ARG ...]
import { accessSync, closeSync, constants, existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const CLOSED_BY_EXEC = 0o2000000

const handover = readFileSync(3, 'utf8')
const env = JSON.parse(handover.slice(handover.lastIndexOf('\n') + 1))
closeSync(3)
const [command = '', ...args] = process.argv.slice(2)

// Node ignores these two; a signal that is handled here has its default again in the agent.
for (const signal of ['SIGPIPE', 'SIGXFSZ']) process.on(signal, () => {})

/** What would be open in the agent beside its three descriptors. */
function* strayDescriptors() {
  for (const name of existsSync('/proc/self/fdinfo') ? readdirSync('/proc/self/fdinfo') : []) {
    const file = `/proc/self/fdinfo/${name}`
    const flags = Number(name) > 2 && existsSync(file) ? /^flags:\s*(\d+)/m.exec(readFileSync(file, 'latin1'))?.[1] : undefined
    if (flags !== undefined && (Number.parseInt(flags, 8) & CLOSED_BY_EXEC) === 0) yield Number(name)
  }
}

/** 127 where it is not there, 126 where it cannot be executed, 0 where it can. */
function check(file) {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile() ? 0 : 126
  } catch {
    return existsSync(file) ? 126 : 127
  }
}

const places = command.includes('/') ? [command] : (env.PATH ?? '/bin:/usr/bin').split(delimiter).map((dir) => join(dir || '.', command))
const file = places.find((place) => check(place) === 0)
if (file !== undefined) {
  for (const descriptor of [...strayDescriptors()]) closeSync(descriptor)
  process.execve(file, [command, ...args], env)
}
const code = places.some((place) => check(place) === 126) ? 126 : 127
console.error(`${command}: ${code === 127 ? 'not found' : 'cannot be executed'}`)
process.exit(code)
