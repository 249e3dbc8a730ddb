// RabbitMQ, ActiveMQ and Kafka.
import { randomBytes } from 'node:crypto'
import { existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { freshFolder, home } from './home.mjs'
import { account, activemqJar, rabbitmqServer, which } from './places.mjs'
import { port } from './ports.mjs'
import { finish, launch, ready } from './processes.mjs'

const java = ['default-jre-headless']

export const rabbitmq = {
  name: 'rabbitmq',
  packages: () => (rabbitmqServer() ? [] : ['rabbitmq-server']),
  async start(log) {
    const user = account('rabbitmq')
    const folder = freshFolder('rabbitmq', user)
    const amqp = await port(15_672)
    const stomp = await port(15_674)
    const management = await port(15_671)
    const files = rabbitmqFiles({ amqp, stomp, management })
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o644 })
    const env = {
      ...rabbitmqEnvironment(folder),
      RABBITMQ_DIST_PORT: String(await port(25_699)),
      ERL_EPMD_PORT: String(await port(14_369)),
    }
    const started = launch('rabbitmq', { command: rabbitmqServer(), args: [], log, cwd: folder, user, env })
    const login = 'guest:guest@127.0.0.1'
    const urls = { url: `amqp://${login}:${amqp}`, stomp: `stomp://${login}:${stomp}`, management: `http://${login}:${management}` }
    await ready(started, Object.values(urls), 60_000)
    return { urls, processes: [started] }
  },
}

const rabbitmqFiles = ({ amqp, stomp, management }) => ({
  enabled_plugins: '[rabbitmq_management,rabbitmq_stomp].\n',
  'rabbitmq.conf': [
    `listeners.tcp.1 = 127.0.0.1:${amqp}`,
    `stomp.listeners.tcp.1 = 127.0.0.1:${stomp}`,
    'management.tcp.ip = 127.0.0.1',
    `management.tcp.port = ${management}`,
    'loopback_users = none',
    'disk_free_limit.absolute = 50MB',
    '',
  ].join('\n'),
})

/** All of RabbitMQ's and Erlang's own ports stay on loopback too; without the kernel option the distribution port does not. */
const rabbitmqEnvironment = (folder) => ({
  HOME: folder,
  RABBITMQ_NODENAME: 'regent@localhost',
  RABBITMQ_MNESIA_BASE: join(folder, 'mnesia'),
  RABBITMQ_LOG_BASE: join(folder, 'log'),
  RABBITMQ_LOGS: '-',
  RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
  RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
  RABBITMQ_PID_FILE: join(folder, 'pid'),
  RABBITMQ_CONF_ENV_FILE: '/dev/null',
  ERL_EPMD_ADDRESS: '127.0.0.1',
  RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}',
})

export const activemq = {
  name: 'activemq',
  packages: () => [...(existsSync(activemqJar) ? [] : ['activemq']), ...(which('java') ? [] : java)],
  async start(log) {
    const folder = freshFolder('activemq')
    const number = await port(16_613)
    mkdirSync(join(folder, 'conf'))
    const file = join(folder, 'conf/activemq.xml')
    writeFileSync(file, activemqXml(number))
    const places = { home: dirname(dirname(activemqJar)), base: folder, conf: join(folder, 'conf'), data: join(folder, 'data') }
    const settings = Object.entries(places).map(([name, place]) => `-Dactivemq.${name}=${place}`)
    const args = ['-Xms64m', '-Xmx256m', '-XX:+UseSerialGC', ...settings, '-jar', activemqJar, 'start', `xbean:file:${file}`]
    const started = launch('activemq', { command: which('java'), args, log, cwd: folder })
    const urls = { url: `stomp://127.0.0.1:${number}` }
    await ready(started, Object.values(urls), 60_000)
    return { urls, processes: [started] }
  },
}

const activemqXml = (
  number,
) => `<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="regent" useJmx="false" persistent="true"
    dataDirectory="\${activemq.data}" schedulerSupport="false">
    <persistenceAdapter><kahaDB directory="\${activemq.data}/kahadb" journalMaxFileLength="4mb"/></persistenceAdapter>
    <systemUsage><systemUsage>
      <memoryUsage><memoryUsage limit="128 mb"/></memoryUsage>
      <storeUsage><storeUsage limit="512 mb"/></storeUsage>
      <tempUsage><tempUsage limit="128 mb"/></tempUsage>
    </systemUsage></systemUsage>
    <transportConnectors><transportConnector name="stomp" uri="stomp://127.0.0.1:${number}"/></transportConnectors>
  </broker>
</beans>
`

const jars = join(home, 'kafka/jars')
const kafkaPom = join(import.meta.dirname, 'kafka/pom.xml')
const haveJars = () => globSync('kafka_*.jar', { cwd: jars }).length > 0

export const kafka = {
  name: 'kafka',
  packages: () => [...(which('java') ? [] : java), ...(haveJars() || which('mvn') ? [] : ['maven'])],
  async start(log) {
    if (!haveJars()) await fetchJars()
    const folder = freshFolder('kafka')
    const broker = await port(19_092)
    const controller = await port(19_093)
    const file = join(folder, 'server.properties')
    writeFileSync(file, kafkaProperties({ folder, broker, controller }))
    const id = randomBytes(16).toString('base64url')
    const run = { command: which('java'), cwd: folder }
    const options = ['-cp', `${jars}/*`, `-Dlog4j2.configurationFile=${join(import.meta.dirname, 'kafka/log4j2.properties')}`]
    await finish('kafka', { ...run, args: ['-Xmx128m', ...options, 'kafka.tools.StorageTool', 'format', '-t', id, '-c', file] })
    const limits = ['-Xms128m', '-Xmx512m', '-XX:+UseSerialGC', '-Djava.net.preferIPv4Stack=true']
    const started = launch('kafka', { ...run, args: [...limits, ...options, 'kafka.Kafka', file], log })
    const urls = { url: `kafka://127.0.0.1:${broker}` }
    await ready(started, Object.values(urls), 60_000)
    return { urls, processes: [started] }
  },
}

/** Kafka is not in Debian: its jars come from Maven Central, once for each checkout. */
async function fetchJars() {
  const args = ['-B', '-q', '-f', kafkaPom, 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${jars}`]
  await finish('kafka', { command: which('mvn'), args, cwd: dirname(kafkaPom), env: { HOME: process.env.HOME ?? '/' }, timeoutMs: 240_000 })
}

const kafkaProperties = ({ folder, broker, controller }) =>
  Object.entries({
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${broker},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${broker}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': join(folder, 'logs'),
    'num.partitions': 1,
    'auto.create.topics.enable': true,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 4,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'group.initial.rebalance.delay.ms': 0,
    'log.segment.bytes': 16 << 20,
  })
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
