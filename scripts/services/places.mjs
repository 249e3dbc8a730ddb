// Where Debian puts the programs of the test servers.
import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, globSync } from 'node:fs'
import { delimiter, join } from 'node:path'

const folders = [...new Set([...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin'])]

/** The full path of a program, if it is installed. */
export function which(name) {
  return folders.map((folder) => join(folder, name)).find(runnable)
}

function runnable(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export const activemqJar = '/usr/share/activemq/bin/activemq.jar'
export const rabbitmqServer = () => globSync('/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server').sort().at(-1)
export const postgresFolder = () => globSync('/usr/lib/postgresql/*/bin').sort(byNumber).findLast(hasServer)

const hasServer = (folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb'))
const byNumber = (a, b) => a.localeCompare(b, 'en', { numeric: true })

/** The account a server runs as when we are root; servers that refuse root are given their own. */
export function account(name) {
  if (process.getuid() !== 0) return undefined
  const id = (flag) => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}
