// A Docker daemon of our own on a socket of our own, and the removal of what such a daemon leaves behind in the kernel.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { data, freshFolder } from './home.mjs'
import { which } from './places.mjs'
import { launch, ready } from './processes.mjs'

const path = `${process.env.PATH}:/usr/sbin:/sbin`
const forwarding = '/proc/sys/net/ipv4/ip_forward'
const firewalls = ['iptables', 'ip6tables']
const interfaces = () => (existsSync('/sys/class/net') ? readdirSync('/sys/class/net') : [])
const isDockers = (name) => /^(docker0|docker_gwbridge|br-[0-9a-f]{12}|veth[0-9a-f]{7})$/.test(name)

export const docker = {
  name: 'docker',
  packages: () => [
    ...(which('dockerd') ? [] : ['docker.io']),
    ...(which('iptables') ? [] : ['iptables']),
    ...(which('ip') ? [] : ['iproute2']),
  ],
  async start(log) {
    if (process.getuid() !== 0) throw new Error('a Docker daemon needs root')
    const before = { interfaces: interfaces(), forward: readFileSync(forwarding, 'utf8').trim(), policies: firewalls.map(forwardPolicy) }
    const alone = !before.interfaces.includes('docker0')
    const folder = freshFolder('docker')
    const socket = join(folder, 'docker.sock')
    const places = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '--pidfile', join(folder, 'pid')]
    const network = alone ? ['--ip=127.0.0.1'] : ['--bridge=none', '--iptables=false', '--ip-masq=false']
    const args = [...places, '--host', `unix://${socket}`, '--shutdown-timeout=3', ...network]
    const started = launch('docker', { command: which('dockerd'), args, log, cwd: folder, env: { PATH: path } })
    const urls = { url: `unix://${socket}` }
    await ready(started, Object.values(urls), 60_000)
    return { urls, processes: [started], before, alone }
  },
  /** After its processes are gone: mounts, network interfaces, firewall rules, forwarding. Answers what could not be removed. */
  clean({ before, alone }) {
    const ours = () => interfaces().filter((name) => isDockers(name) && !before.interfaces.includes(name))
    for (const name of ours()) spawnSync('ip', ['link', 'delete', name], { env: { PATH: path } })
    if (alone) {
      for (const [index, tool] of firewalls.entries()) clearRules(tool, before.policies[index])
      writeFileSync(forwarding, before.forward)
    }
    return [...unmountAll(), ...ours().map((name) => `network interface ${name}`)]
  },
}

const rulesOf = (tool) => (which(tool) ? (spawnSync(`${tool}-save`, { encoding: 'utf8', env: { PATH: path } }).stdout ?? '') : '')
const forwardPolicy = (tool) => /^:FORWARD (\w+)/m.exec(rulesOf(tool))?.[1] ?? 'ACCEPT'

/** Takes the rules and chains of Docker out of the firewall, and leaves all others as they are. */
function clearRules(tool, policy) {
  const dockers = (line) => line.includes('DOCKER') || / -[io] (docker0|docker_gwbridge|br-[0-9a-f]{12}) /.test(line)
  const lines = rulesOf(tool).split('\n')
  if (!lines.some(dockers)) return
  const rest = lines.filter((line) => !dockers(line)).map((line) => line.replace(/^(:FORWARD) \w+/, `$1 ${policy}`))
  spawnSync(`${tool}-restore`, { input: rest.join('\n'), env: { PATH: path } })
}

/** Unmounts everything below the data folder, deepest first; answers what stayed. */
function unmountAll() {
  for (const place of mounts()) spawnSync('umount', [place])
  for (const place of mounts()) spawnSync('umount', ['--lazy', place])
  return mounts().map((place) => `mount ${place}`)
}

function mounts() {
  if (!existsSync('/proc/self/mountinfo')) return []
  const places = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '))
  return places.filter((place) => place.startsWith(`${data}/`)).sort((a, b) => b.length - a.length)
}
