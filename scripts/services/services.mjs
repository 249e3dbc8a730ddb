// Servers for the tests, on loopback, from Debian packages, Maven Central and the npm registry.
//   npm run services [-- start NAME…] [-- --optional]   installs what is missing, starts what does not run
//   npm run services -- status                          says what answers
//   npm run services -- stop                            ends every process that was started
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { activemq, kafka, rabbitmq } from './brokers.mjs'
import { docker } from './docker.mjs'
import { alone, forget, home, load, save } from './home.mjs'
import { alive } from './identity.mjs'
import { claude, mcpConformance } from './npm-programs.mjs'
import { install } from './packages.mjs'
import { exposed } from './ports.mjs'
import { probe } from './probes.mjs'
import { gone, marked, signal } from './processes.mjs'
import { chromium, supervisor, tools } from './programs.mjs'
import { postgres, redis } from './stores.mjs'

const services = [redis, postgres, rabbitmq, activemq, kafka, docker, chromium, supervisor, tools, claude, mcpConformance]
const names = services.map((service) => service.name)

function usage(problem) {
  console.error(`${problem}\nusage: npm run services -- [start [NAME…] [--optional] | status | stop]\nnames: ${names.join(', ')}`)
  process.exit(2)
}

async function answering(record) {
  if (record === undefined) return false
  const reasons = await Promise.all(Object.values(record.urls).map((url) => probe(url)))
  return record.processes.every(alive) && reasons.every((reason) => reason === undefined)
}

/** Starts the named services, those that need nothing installed at once; each result is told as it comes. */
async function start(wanted, optional) {
  const chosen = services.filter(({ name }) => wanted.length === 0 || wanted.includes(name))
  const running = load()
  const absent = []
  for (const service of chosen) if (!(await answering(running[service.name]))) absent.push(service)
  const lists = absent.map((service) => service.packages())
  const from = performance.now()
  const refused = install(lists.filter((list) => list.length > 0))
  if (lists.some((list) => list.length > 0)) console.log(`installed ${[...new Set(lists.flat())].join(', ')} in ${seconds(from)}`)
  for (const service of chosen.filter((one) => !absent.includes(one))) tell(service.name, 'running', '', running[service.name].urls.url)
  const queue = absent.map((service, index) => ({ service, refusal: refused.get(lists[index]) }))
  const failures = []
  await Promise.all([1, 2].map(() => drain(queue, running, failures)))
  const open = exposed(marked()).map((listener) => `listens beyond loopback: ${listener}`)
  for (const problem of open) console.error(problem)
  return open.length > 0 || (failures.length > 0 && !optional) ? 1 : 0
}

async function drain(queue, running, failures) {
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { service, refusal } = next
    const from = performance.now()
    try {
      if (refusal !== undefined) throw new Error(refusal)
      await end(service, running[service.name])
      running[service.name] = await begin(service)
      save(running)
      tell(service.name, 'started', seconds(from), running[service.name].urls.url)
    } catch (error) {
      failures.push(service.name)
      tell(service.name, 'FAILED', seconds(from), error.message)
    }
  }
}

async function begin(service) {
  const folder = join(home, 'logs')
  mkdirSync(folder, { recursive: true })
  try {
    const { processes, ...rest } = await service.start(join(folder, `${service.name}.log`))
    return { ...rest, processes: processes.map(({ pid, startTime }) => ({ pid, startTime })) }
  } catch (error) {
    await end(service)
    throw error
  }
}

/** Ends a server: what its record names first, as it likes to be ended, then whatever else carries its mark. Answers what is left. */
async function end(service, record) {
  if (record !== undefined) {
    signal(record.processes, record.signal ?? 'SIGTERM')
    await gone(record.processes, 20_000)
  }
  for (const [word, patience] of [
    ['SIGTERM', 3_000],
    ['SIGKILL', 5_000],
  ]) {
    const rest = marked(service.name)
    signal(rest, word)
    await gone(rest, patience)
  }
  const left = marked(service.name).map(({ pid, command }) => `process ${pid} ${command}`)
  return record === undefined || service.clean === undefined ? left : [...left, ...service.clean(record)]
}

/** Ends every server of this checkout, and looks whether anything of them is left. */
async function stop() {
  const running = load()
  const left = await Promise.all(
    services.map(async (service) => {
      const from = performance.now()
      const problems = await end(service, running[service.name])
      if (running[service.name] !== undefined) tell(service.name, problems.length === 0 ? 'stopped' : 'FAILED', seconds(from), '')
      return problems
    }),
  ).then((lists) => lists.flat())
  for (const problem of left) console.error(`left: ${problem}`)
  if (left.length === 0) forget()
  if (Object.keys(running).length === 0) console.log('no service was running')
  return left.length === 0 ? 0 : 1
}

async function status() {
  const running = load()
  for (const name of names) {
    const record = running[name]
    const reasons = record === undefined ? [] : await Promise.all(Object.values(record.urls).map((url) => probe(url)))
    const problem = reasons.find((reason) => reason !== undefined)
    if (record === undefined) tell(name, 'stopped', '', '')
    else tell(name, problem === undefined ? 'running' : 'FAILED', '', problem ?? Object.values(record.urls).join('  '))
  }
  return 0
}

const seconds = (from) => `${((performance.now() - from) / 1000).toFixed(1)} s`

function tell(name, verdict, time, words) {
  console.log(`${name.padEnd(15)} ${verdict.padEnd(8)} ${time.padStart(7)}  ${words}`.trimEnd())
}

const [verb = 'start', ...rest] = process.argv.slice(2).filter((arg) => arg !== '--optional')
const optional = process.argv.includes('--optional')
const unknown = rest.find((name) => !names.includes(name))
if (unknown !== undefined) usage(`there is no service named ${unknown}`)
const verbs = { start: () => start(rest, optional), stop, status }
if (!Object.hasOwn(verbs, verb)) usage(`there is no command named ${verb}`)
process.exitCode = verb === 'status' ? await status() : await alone(verbs[verb])
