import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { AgentDetail } from '../../src/contract/agents.ts'
import type { Value } from '../../src/doors/supervisor-rpc/codec.ts'
import type { MainLog } from '../../src/doors/supervisor-rpc/main-log.ts'
import { createSupervisorRpc, type RpcLimits, type SupervisorRpcDoor } from '../../src/doors/supervisor-rpc/server.ts'
import { type Clock, systemClock } from '../../src/kernel/clock.ts'
import { createFakeCore, type FakeCore, newAgent } from './fake-core.ts'
import { temporaryFolder } from './folder.ts'
import { type CollectingLogger, collectingLogger } from './logs.ts'

export interface SupervisorDoor {
  readonly fake: FakeCore
  readonly door: SupervisorRpcDoor
  readonly path: string
  readonly logs: CollectingLogger
  readonly mainLog: MainLog & { write(line: string): void }
  /** How often Regent was told to end. */
  ended(): number
  /** How often it was told to be followed by another. */
  restarted(): number
  /** An agent that the core has. */
  agent(owner: string, name: string, change?: Partial<AgentDetail>): AgentDetail
  call(method: string, ...params: Value[]): Promise<Answer>
  post(body: string | Buffer, path?: string): Promise<Raw>
  get(path: string): Promise<Raw>
}

export interface Raw {
  readonly status: number
  readonly body: string
}

/** What a call came to: a value, or a fault. */
export type Answer = Value | { readonly fault: number; readonly words: string }

/** The door over a fake core, on a socket of its own; closed with the test. `before` runs before it opens. */
export async function openSupervisorDoor(
  options: { readonly clock?: Clock; readonly limits?: Partial<RpcLimits>; readonly before?: (fake: FakeCore) => void } = {},
): Promise<SupervisorDoor> {
  const fake = createFakeCore()
  options.before?.(fake)
  const logs = collectingLogger()
  const mainLog = memoryLog()
  let ended = 0
  let restarted = 0
  const door = createSupervisorRpc({
    core: fake.core,
    about: { version: '0.0.0-test', pid: 4711, startedAt: Date.now() - 61_000 },
    mainLog,
    logger: logs,
    clock: options.clock ?? systemClock,
    control: {
      shutdown: () => {
        ended++
      },
      restart: () => {
        restarted++
      },
    },
    ...(options.limits && { limits: options.limits }),
  })
  const path = join(temporaryFolder(), 'supervisor.sock')
  onTestFinished(() => door.close())
  await door.open(path)
  const post = (body: string | Buffer, at = '/RPC2') => send(path, 'POST', at, body)
  return {
    ...{ fake, door, path, logs, mainLog, post },
    ended: () => ended,
    restarted: () => restarted,
    agent(owner, name, change = {}) {
      const agent = { ...newAgent(owner, name, 'command'), ...change }
      fake.agents.set(agent.id, agent)
      return agent
    },
    get: (at) => send(path, 'GET', at),
    call: async (method, ...params) => answerOf((await post(callText(method, params))).body),
  }
}

function memoryLog(): MainLog & { write(line: string): void } {
  let text = ''
  const listeners = new Set<(line: string) => void>()
  return {
    read: () => Buffer.from(text),
    clear() {
      text = ''
    },
    watch(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    write(line) {
      text += line
      for (const listener of listeners) listener(line)
    },
  }
}

export function send(socketPath: string, method: string, path: string, body?: string | Buffer): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, method, path, agent: false }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (piece) => {
        text += piece
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: text }))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

export function callText(method: string, params: readonly Value[]): string {
  const list = params.map((value) => `<param>${valueText(value)}</param>`).join('')
  return `<?xml version='1.0'?>\n<methodCall>\n<methodName>${escaped(method)}</methodName>\n<params>${list}</params>\n</methodCall>\n`
}

function valueText(value: Value): string {
  if (typeof value === 'string') return `<value><string>${escaped(value)}</string></value>`
  if (typeof value === 'number') return `<value><int>${value}</int></value>`
  if (typeof value === 'boolean') return `<value><boolean>${value ? 1 : 0}</boolean></value>`
  if (Array.isArray(value)) return `<value><array><data>${value.map(valueText).join('')}</data></array></value>`
  const members = Object.entries(value).map(([name, inner]) => `<member><name>${name}</name>${valueText(inner)}</member>`)
  return `<value><struct>${members.join('')}</struct></value>`
}

/** Reads what the door writes, with expressions of its own rather than with the door's parser. */
function answerOf(body: string): Answer {
  const tokens: string[] = body.replace(/<\?xml[^>]*>/, '').match(/<[^>]+>|[^<]+/g) ?? []
  let at = 0
  const next = () => tokens[at++] ?? ''
  const skip = () => {
    while (/^\s+$/.test(tokens[at] ?? 'x')) at++
  }
  const text = (end: string): string => {
    let all = ''
    for (let token = next(); token !== end; token = next()) all += token
    return all.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&#13;', '\r').replaceAll('&amp;', '&')
  }
  const value = (): Value => {
    skip()
    next()
    const type = next()
    const read = typedOf(type)
    skip()
    next()
    return read
  }
  const typedOf = (type: string): Value => {
    if (type === '<string>') return text('</string>')
    if (type === '<int>') return Number(text('</int>'))
    if (type === '<boolean>') return text('</boolean>') === '1'
    if (type === '<array>') {
      next()
      const items: Value[] = []
      for (skip(); tokens[at] === '<value>'; skip()) items.push(value())
      at += 2
      return items
    }
    const members: [string, Value][] = []
    for (skip(); tokens[at] === '<member>'; skip()) {
      next()
      skip()
      next()
      const name = text('</name>')
      members.push([name, value()])
      skip()
      next()
    }
    next()
    return Object.fromEntries(members)
  }
  const isFault = tokens.includes('<fault>')
  at = tokens.indexOf(isFault ? '<fault>' : '<param>') + 1
  const found = value()
  if (!isFault) return found
  const { faultCode, faultString } = found as { faultCode: number; faultString: string }
  return { fault: faultCode, words: faultString }
}

/** A reader of a stream, as `tail -f` is one. */
export async function follow(socketPath: string, path: string) {
  const sent = request({ socketPath, path, agent: false })
  sent.end()
  const [answer] = (await once(sent, 'response')) as [IncomingMessage]
  let text = ''
  answer.setEncoding('utf8')
  answer.on('data', (piece) => {
    text += piece
  })
  answer.on('error', () => {})
  const over = new Promise<void>((resolve) => void answer.on('close', resolve))
  onTestFinished(() => void sent.destroy())
  return { text: () => text, header: (name: string) => answer.headers[name], leave: () => sent.destroy(), over }
}
