// What the tests need installed, and not running.

import { which } from './places.mjs'
import { finish } from './processes.mjs'

export const chromium = {
  name: 'chromium',
  packages: () => (which('chromium') ? [] : ['chromium']),
  async start() {
    const command = which('chromium')
    await finish('chromium', { command, args: ['--version'], env: { HOME: '/nonexistent' }, timeoutMs: 30_000 })
    return { urls: { url: command }, processes: [] }
  },
}

export const supervisor = {
  name: 'supervisor',
  packages: () => (which('supervisorctl') && which('supervisord') ? [] : ['supervisor']),
  async start() {
    const urls = { url: which('supervisorctl'), daemon: which('supervisord') }
    for (const command of Object.values(urls))
      await finish('supervisor', { command, args: command === urls.url ? ['--help'] : ['--version'], timeoutMs: 30_000 })
    return { urls, processes: [] }
  },
}

/** Small programs that tests and this script call, and that a bare Debian lacks; with the package that has each. */
const small = {
  curl: 'curl',
  ps: 'procps',
  ip: 'iproute2',
  git: 'git',
  openssl: 'openssl',
  kcat: 'kcat',
  'amqp-publish': 'amqp-tools',
  stomp: 'python3-stomp',
}

export const tools = {
  name: 'tools',
  packages: () => Object.entries(small).flatMap(([program, name]) => (which(program) ? [] : [name])),
  async start() {
    const paths = Object.keys(small).map((program) => [program, which(program)])
    return { urls: { url: which('curl'), ...Object.fromEntries(paths) }, processes: [] }
  },
}
