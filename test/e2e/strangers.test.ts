import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { expect, it, onTestFinished } from 'vitest'
import { tess } from '../helpers/agent-bus.ts'
import { cryptoTrader } from '../helpers/crypto-trader.ts'
import { Regent } from '../helpers/regent.ts'
import { describeWith } from '../helpers/services.ts'
import { until } from '../helpers/until.ts'
import { freshVhost } from '../helpers/vhost.ts'

// Programs that know nothing of Regent, each by the lines of its page.

/** What a program prints; its input is the text. Throws when it fails. */
function run(command: string, args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(command, args, { timeout: 30_000 }, (error, stdout, stderr) =>
      error ? reject(new Error(`${command} failed: ${error.message} ${stderr}`)) : resolve(stdout),
    )
    child.stdin?.end(input)
  })
}

/** A program that prints what comes, until the test ends. */
function follow(command: string, args: readonly string[]): { readonly text: () => string } {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (piece) => {
    text += piece
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { text: () => text }
}

const prompt = (content: string) =>
  JSON.stringify({ type: 'user', content, channel_id: 'agent:crypto_trader', metadata: { name: 'default' } })

async function trader(regent: Regent, name: string, pubsub: object): Promise<void> {
  expect((await regent.post('/agents', { ...cryptoTrader(pubsub), name, initial_task: null })).status).toBe(200)
  expect((await regent.post(`/agents/${name}/start?username=alice`)).status).toBe(200)
  await regent.json('wait', `alice/${name}`).catch(() => undefined)
}

const fresh = () => `t${randomUUID().slice(0, 8)}`

describeWith('redis', 'redis-cli', ({ url }) => {
  it('publishes to an agent and hears its answer [part of I4-BUS-13]', { timeout: 60_000 }, async () => {
    const { hostname, port } = new URL(url)
    const name = fresh()
    const regent = await Regent.start()
    await trader(regent, name, { backend: 'redis', channel_name: name, redis: { host: hostname, port: Number(port) } })
    const heard = follow('redis-cli', ['-h', hostname, '-p', port, 'SUBSCRIBE', `agent:agent_${name}`])
    await until(() => heard.text().includes('subscribe'), 'the subscription')
    await run('redis-cli', ['-h', hostname, '-p', port, 'PUBLISH', `agent:${name}`, prompt('What is the current Bitcoin price?')])
    await until(() => heard.text().includes('"type":"assistant"') && heard.text().includes('Bitcoin'), 'the answer', 30_000)
  })
})

describeWith('kafka', 'kcat', ({ url }) => {
  it('produces to an agent and consumes its answer [part of I4-BUS-13]', { timeout: 90_000 }, async () => {
    const servers = url.replace('kafka://', '')
    const name = fresh()
    const regent = await Regent.start()
    await trader(regent, name, { backend: 'kafka', channel_name: name, kafka: { bootstrap_servers: [servers] } })
    await run('kcat', ['-b', servers, '-P', '-t', `mcp_agent_${name}`], `${prompt('What is the current Bitcoin price?')}\n`)
    const heard = follow('kcat', ['-b', servers, '-C', '-t', `mcp_agent_agent_${name}`, '-o', 'beginning', '-q', '-u'])
    await until(() => heard.text().includes('"type":"assistant"') && heard.text().includes('Bitcoin'), 'the answer', 60_000)
  })
})

describeWith('rabbitmq', 'amqp-publish', (urls) => {
  it('creates an agent by a command [I4-BUS-13]', { timeout: 60_000 }, async () => {
    const vhost = await freshVhost(urls)
    const regent = await Regent.start({ RABBITMQ_URL: vhost.url, REGENT_STARTSECS: '0' })
    await until(async () => (await vhost.queues()).some(({ name }) => name === 'autogen.direct.agent-manager'), 'Regent reads its queue')
    const id = randomUUID()
    const body = JSON.stringify({
      message_type: 'agent.create',
      payload: tess(id),
      timestamp: new Date().toISOString(),
      correlation_id: null,
    })
    await run('amqp-publish', ['-u', vhost.url, '-e', 'autogen.direct', '-r', 'agent-manager', '-b', body])
    await until(async () => JSON.stringify(await regent.json('ps')).includes('"RUNNING"'), 'the agent runs', 30_000)
    expect(await regent.json('ps')).toMatchObject([{ owner: 'c1', name: 'Tess' }])
  })
})

const python = (host: string, port: string, login: string, user: string) => `
import json, stomp, sys, threading
done = threading.Event()
class Print(stomp.ConnectionListener):
    def on_message(self, frame):
        print(frame.body)
        done.set()
c = stomp.Connection11([('${host}', ${port})], auto_content_length=False)
c.set_listener('', Print())
c.connect('${login}', '${login}', wait=True)
c.subscribe('/queue/testbed.${user}.reply-${process.pid}', id='1', ack='auto')
c.send('/queue/testbed.${user}.control', json.dumps({'command': 'ping', 'reply_to': '/queue/testbed.${user}.reply-${process.pid}'}))
done.wait(20)
c.disconnect()
`

describeWith('activemq', 'a Python STOMP client', ({ url }) => {
  it('pings over the control queue [part of I4-BUS-13]', { timeout: 60_000 }, async () => {
    const { hostname, port } = new URL(url)
    await Regent.start({ ACTIVEMQ_HOST: hostname, ACTIVEMQ_PORT: port })
    const said = await run('/usr/bin/python3', ['-c', python(hostname, port, 'admin', userInfo().username)])
    expect(JSON.parse(said)).toMatchObject({ status: 'alive', username: userInfo().username })
  })
})
