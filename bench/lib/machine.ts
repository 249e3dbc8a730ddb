import { readFileSync } from 'node:fs'
import { cpus, loadavg, release, tmpdir, totalmem, type } from 'node:os'
import type { Machine } from './result.ts'
import { rounded } from './stats.ts'

/** The machine that the figures are true for. */
export function thisMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_mib: Math.round(totalmem() / 2 ** 20),
    kernel: `${type()} ${release()}`,
    file_system: fileSystemOf(tmpdir()),
    node: process.version,
    load: rounded(loadavg()[0] ?? 0),
  }
}

/** The type of the file system that holds this folder: what a durable write costs depends on it. */
function fileSystemOf(folder: string): string {
  let best = { point: '', type: 'unknown' }
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, point = '', type = ''] = line.split(' ')
    const holds = folder === point || folder.startsWith(point.endsWith('/') ? point : `${point}/`)
    if (holds && point.length >= best.point.length) best = { point, type }
  }
  return best.type
}
