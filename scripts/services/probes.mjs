// Asks a server, in its own protocol, whether it is there and ready. The scheme of the address tells the protocol.
import { access, constants } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'

const field = (name, value) => `${name}\0${value}\0`

/** PostgreSQL's first message: its length, itself included, protocol 3.0, and the parameters. */
const startup = (parameters) => Buffer.concat([int32(parameters.length + 8), int32(3 << 16), Buffer.from(parameters)])

function int32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** What to say to a server, and whether its first bytes are the answer of one that is ready. */
const greetings = {
  'redis:': { port: 6379, say: () => 'PING\r\n', heard: (answer) => /^(\+PONG|-NOAUTH)/.test(answer.toString()) },
  'amqp:': { port: 5672, say: () => 'AMQP\0\0\x09\x01', heard: (answer) => answer[0] === 1 },
  'stomp:': {
    port: 61613,
    say: ({ username, password }) => `CONNECT\naccept-version:1.1,1.2\nhost:/\nlogin:${username}\npasscode:${password}\n\n\0`,
    heard: (answer) => answer.toString().startsWith('CONNECTED'),
  },
  'postgres:': {
    port: 5432,
    say: ({ username, pathname }) => startup(`${field('user', username)}${field('database', pathname.slice(1))}\0`),
    heard: (answer) => answer[0] === 'R'.charCodeAt(0),
  },
  // Its length, ApiVersions, version 0, correlation id 7, client id "regent"; the answer repeats the id and has error code 0.
  'kafka:': {
    port: 9092,
    say: () => Buffer.from('0000001000120000000000070006726567656e74', 'hex'),
    heard: (answer) => answer.length >= 10 && answer.readInt32BE(4) === 7 && answer.readInt16BE(8) === 0,
  },
}

/** Nothing when the server at the address answers as one that is ready; else why not. */
export async function probe(address, timeoutMs = 2_000) {
  if (address.startsWith('/')) return access(address, constants.X_OK).then(undefined, () => `${address} is not there or cannot be run`)
  if (address.startsWith('unix://')) return ask({ socketPath: address.slice('unix://'.length), path: '/_ping' }, address, timeoutMs)
  const url = new URL(address)
  if (url.protocol === 'http:') return ask({ host: url.hostname, port: url.port, path: url.pathname }, url.origin, timeoutMs)
  const greeting = greetings[url.protocol]
  return greeting === undefined ? `no way to ask ${url.protocol} addresses` : greet(url, greeting, timeoutMs)
}

function greet(url, { port, say, heard }, timeoutMs) {
  const place = `${url.hostname}:${url.port || port}`
  return new Promise((resolve) => {
    const socket = connect({ host: url.hostname, port: Number(url.port || port) })
    const end = (reason) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(reason)
    }
    const timer = setTimeout(() => end(`${place} did not answer within ${timeoutMs} ms`), timeoutMs)
    socket.on('error', (error) => end(`${place}: ${error.code ?? error.message}`))
    socket.on('connect', () => socket.write(say(url)))
    socket.on('data', (answer) => end(heard(answer) ? undefined : `${place} answered, but is not ready`))
    socket.on('close', () => end(`${place} closed the connection`))
  })
}

function ask(target, name, timeoutMs) {
  return new Promise((resolve) => {
    const asked = request({ ...target, timeout: timeoutMs }, (answer) => {
      answer.resume()
      answer.on('end', () => resolve(answer.statusCode < 500 ? undefined : `${name} answered ${answer.statusCode}`))
    })
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${timeoutMs} ms`)))
    asked.on('error', (error) => resolve(`${name}: ${error.code ?? error.message}`))
    asked.end()
  })
}
