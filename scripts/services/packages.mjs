// Installs Debian packages, without letting them start anything.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs'

const policy = '/usr/sbin/policy-rc.d'
const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', NEEDRESTART_SUSPEND: '1' }

/** Installs the packages; answers why not, or nothing. All at once first, because that is faster, then each list by itself. */
export function install(lists) {
  const all = [...new Set(lists.flat())]
  if (all.length === 0) return new Map()
  const refusal = unable()
  if (refusal !== undefined) return new Map(lists.map((list) => [list, `${list.join(', ')} missing, and ${refusal}`]))
  const ours = !existsSync(policy)
  if (ours) {
    writeFileSync(policy, '#!/bin/sh\nexit 101\n')
    chmodSync(policy, 0o755)
  }
  try {
    apt('update')
    if (apt('install', ...all) === undefined) return new Map()
    return new Map(lists.map((list) => [list, list.length === 0 ? undefined : apt('install', ...list)]))
  } finally {
    if (ours) rmSync(policy, { force: true })
  }
}

function unable() {
  if (process.getuid() !== 0) return 'installing it needs root'
  return spawnSync('apt-get', ['--version']).status === 0 ? undefined : 'there is no apt-get here'
}

function apt(verb, ...names) {
  const options = [
    '-q',
    '-y',
    '--no-install-recommends',
    '-o',
    'Dpkg::Use-Pty=0',
    '-o',
    'DPkg::Lock::Timeout=120',
    '-o',
    'Acquire::Retries=3',
  ]
  const { status, stdout, stderr } = spawnSync('apt-get', [...options, verb, ...names], {
    env: environment,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (status === 0) return undefined
  const lines = `${stderr}\n${stdout}`.split('\n').filter((line) => /^(E|Err|W):/.test(line))
  return `apt-get ${verb} ${names.join(' ')} ended with ${status}: ${lines.slice(0, 3).join(' ')}`
}
