import { existsSync } from 'node:fs'
import { join } from 'node:path'

const places = ['/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin', '/run/current-system/sw/bin']

/** The absolute path of one of the system's small programs. */
export function programIn(name: string): string | undefined {
  return places.map((dir) => join(dir, name)).find((file) => existsSync(file))
}
