// Becomes the agent with exactly the environment that fd 3 holds as JSON, where its names are more than a shell can carry.
//   node exec-agent.mjs COMMAND [ARG ...]
import { accessSync, closeSync, constants, readFileSync, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const env = JSON.parse(readFileSync(3, 'utf8'))
closeSync(3)
const [command = '', ...args] = process.argv.slice(2)

const places = command.includes('/') ? [command] : (env.PATH ?? '/bin:/usr/bin').split(delimiter).map((dir) => join(dir || '.', command))
let code = 127
for (const file of places) {
  try {
    accessSync(file, constants.F_OK)
    code = 126
    accessSync(file, constants.X_OK)
    if (statSync(file).isFile()) process.execve(file, [command, ...args], env)
  } catch {
    // The next place may have it.
  }
}
console.error(`${command}: ${code === 127 ? 'not found' : 'cannot be executed'}`)
process.exit(code)
