import { join } from 'node:path'

/** One mounted hierarchy of cgroups. */
export interface CgroupMount {
  readonly version: 1 | 2
  /** Where it is mounted: the uppermost group that can be seen here. */
  readonly dir: string
  /** The group that this process is in; `dir` where that lies outside. */
  readonly own: string
  /** Of version 1: what it controls. Version 2 says so in its own files. */
  readonly controllers: readonly string[]
}

/** What /proc/self/mountinfo and /proc/self/cgroup say about cgroups. */
export function cgroupMounts(mountinfo: string, self: string): CgroupMount[] {
  const paths = new Map<string, string>()
  for (const line of self.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    if (match) for (const controller of (match[1] ?? '').split(',')) paths.set(controller, match[2] ?? '/')
  }
  return mountinfo.split('\n').flatMap((line) => {
    const fields = line.split(' ')
    const dash = fields.indexOf('-', 6)
    const [type = '', , options = ''] = fields.slice(dash + 1)
    if (dash < 0 || (type !== 'cgroup' && type !== 'cgroup2')) return []
    const [root, dir] = [plain(fields[3] ?? '/'), plain(fields[4] ?? '')]
    const controllers = type === 'cgroup' ? options.split(',').filter((option) => option !== 'rw' && option !== 'ro') : []
    const own = paths.get(type === 'cgroup' ? (controllers[0] ?? '') : '') ?? '/'
    return [{ version: type === 'cgroup' ? 1 : 2, dir, own: ownFolder(dir, root, own), controllers }]
  })
}

function ownFolder(dir: string, root: string, own: string): string {
  const below = root === '/' ? own : own === root ? '' : own.startsWith(`${root}/`) ? own.slice(root.length) : undefined
  return below === undefined || below.split('/').includes('..') ? dir : join(dir, below)
}

/** The kernel writes blanks in octal. */
const plain = (path: string): string => path.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 8)))
