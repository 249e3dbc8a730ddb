import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import type { BrokerSettings } from '../../src/contract/brokers.ts'
import { until } from './until.ts'

export interface Frame {
  readonly command: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A client that speaks STOMP 1.1 by hand, as a stranger's program does: no library, no headers of ours. */
export class StompPeer {
  readonly frames: Frame[] = []
  readonly #socket: Socket

  private constructor(socket: Socket) {
    this.#socket = socket
    let rest = ''
    socket.setEncoding('utf8').on('data', (text: string) => {
      const parts = (rest + text).split('\0')
      rest = parts.pop() ?? ''
      this.frames.push(...parts.map(frameOf))
    })
    socket.on('error', () => {})
    onTestFinished(() => void socket.destroy())
  }

  static async open({ addresses, username, password }: BrokerSettings): Promise<StompPeer> {
    const [host = '', port = ''] = (addresses[0] ?? '').split(/:(?=\d+$)/)
    const socket = connect({ host, port: Number(port) })
    await once(socket, 'connect')
    const peer = new StompPeer(socket)
    const account: Record<string, string> = username === undefined ? {} : { login: username, passcode: password ?? '' }
    peer.write('CONNECT', { 'accept-version': '1.1', host: '/', ...account })
    await peer.next((frame) => frame.command === 'CONNECTED')
    return peer
  }

  write(command: string, headers: Readonly<Record<string, string>>, body = ''): void {
    const lines = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`)
    this.#socket.write(`${command}\n${lines.join('')}\n${body}\0`)
  }

  /** Without a content-length, acknowledged by nobody, as 003's programs send. */
  send(destination: string, body: string, headers: Readonly<Record<string, string>> = {}): void {
    this.write('SEND', { destination, ...headers }, body)
  }

  /** Resolves once the broker has it. */
  async subscribe(destination: string, headers: Readonly<Record<string, string>> = {}): Promise<void> {
    const receipt = `s-${destination}`
    this.write('SUBSCRIBE', { id: destination, destination, ack: 'auto', receipt, ...headers })
    await this.next(({ headers: got }) => got['receipt-id'] === receipt.replaceAll(':', '\\c'))
  }

  get messages(): readonly Frame[] {
    return this.frames.filter(({ command }) => command === 'MESSAGE')
  }

  async next(wanted: (frame: Frame) => boolean): Promise<Frame> {
    await until(() => this.frames.some(wanted), `a frame among ${JSON.stringify(this.frames.slice(-3))}`)
    return this.frames.find(wanted) as Frame
  }
}

function frameOf(text: string): Frame {
  const whole = text.replace(/^\n+/, '')
  const end = whole.indexOf('\n\n')
  const [command = '', ...lines] = whole.slice(0, end).split('\n')
  const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]))
  return { command, headers, body: whole.slice(end + 2) }
}
