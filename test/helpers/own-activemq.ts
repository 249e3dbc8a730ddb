import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'
import { temporaryFolder } from './folder.ts'
import { until } from './until.ts'

// Where Debian's packages put them, as scripts/services finds them.
const jar = '/usr/share/activemq/bin/activemq.jar'
const java = '/usr/bin/java'

/** An ActiveMQ of a test's own, to be killed and frozen; it goes with the test. What it has stored stays over its restarts. */
export class OwnActiveMq {
  readonly address: string
  readonly #folder: string
  #process: ChildProcess | undefined

  private constructor(port: number, folder: string) {
    this.address = `127.0.0.1:${port}`
    this.#folder = folder
  }

  static async start(): Promise<OwnActiveMq> {
    const folder = temporaryFolder()
    const port = await freePort()
    mkdirSync(join(folder, 'conf'))
    writeFileSync(join(folder, 'conf/activemq.xml'), xml(port))
    const broker = new OwnActiveMq(port, folder)
    onTestFinished(() => broker.kill())
    await broker.run()
    return broker
  }

  /** Resolves when it takes connections. */
  async run(): Promise<void> {
    const folder = this.#folder
    const places = { home: dirname(dirname(jar)), base: folder, conf: join(folder, 'conf'), data: join(folder, 'data') }
    const settings = Object.entries(places).map(([name, place]) => `-Dactivemq.${name}=${place}`)
    const args = ['-Xmx128m', '-XX:+UseSerialGC', ...settings, '-jar', jar, 'start', `xbean:file:${join(folder, 'conf/activemq.xml')}`]
    this.#process = spawn(java, args, { cwd: folder, stdio: 'ignore' })
    await until(() => this.#answers(), 'ActiveMQ', 60_000)
  }

  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  freeze(): void {
    this.#process?.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process?.kill('SIGCONT')
  }

  async #answers(): Promise<boolean> {
    const [host = '', port = ''] = this.address.split(':')
    const socket = connect({ host, port: Number(port) })
    try {
      await once(socket, 'connect')
      return true
    } finally {
      socket.destroy()
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

const xml = (
  port: number,
) => `<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="own" useJmx="false" persistent="true"
    dataDirectory="\${activemq.data}" schedulerSupport="false">
    <persistenceAdapter><kahaDB directory="\${activemq.data}/kahadb" journalMaxFileLength="4mb"/></persistenceAdapter>
    <transportConnectors><transportConnector name="stomp" uri="stomp://127.0.0.1:${port}"/></transportConnectors>
  </broker>
</beans>
`
