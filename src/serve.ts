import { type Composed, compose } from './compose.ts'
import type { Config } from './config/config.ts'
import { version } from './config/version.ts'
import { endWhenIdle } from './doors/http/idle.ts'
import { listen } from './doors/http/listeners.ts'
import { createHttpServer } from './doors/http/server.ts'
import type { AgentCommandsDoor } from './doors/rabbitmq/door.ts'
import { createGate } from './doors/shared/gate.ts'
import { asHostName } from './doors/shared/hosts.ts'
import { openTestbedControl, type TestbedControl } from './doors/stomp/testbed-control.ts'
import type { SelfControl } from './doors/supervisor-rpc/self.ts'
import { createSupervisorRpc, type SupervisorRpcDoor } from './doors/supervisor-rpc/server.ts'
import { createLinkDoor } from './doors/websocket/link.ts'
import { reasonOf } from './kernel/errors.ts'
import type { Logger } from './kernel/logger.ts'

/**
 * Serves Regent until SIGTERM or SIGINT; agents live on. Rejects when it cannot be started. `restart`: it was asked to be followed
 * by another one.
 */
export async function serve(config: Config): Promise<'over' | 'restart'> {
  let address = ''
  const composed = await compose(config, () => `${address.replace(/^http/, 'ws')}/link`)
  const { core, clock, home, logger } = composed
  watchForBugs(logger)
  for (const warning of config.warnings) logger.warn({}, warning)
  try {
    const app = await openDoors(config, composed, (url) => {
      address = url
    })
    const { adopted } = await core.recover()
    const asked = new AbortController()
    const restart = new AbortController()
    const restartFor = (who: string) => {
      restart.abort()
      asked.abort(who)
    }
    const supervisorRpc = await openSupervisorRpc(composed, {
      shutdown: () => asked.abort('supervisorctl'),
      restart: () => restartFor('supervisorctl'),
    })
    const agentCommands = await openAgentCommandsAt(composed)
    const testbedControl = openTestbedControlAt(composed, () => restartFor('the testbed control queue'))
    await home.writeAddress({ url: address, pid: process.pid, startedAt: Date.now() })
    logger.info({ version, address, home: home.dir, project: config.project, adopted }, 'Regent is ready')
    if (config.orchestratorPort !== 'off')
      logger.info({ port: config.orchestratorPort }, 'the orchestrator API is not there yet: its port stays closed')
    const idle =
      config.idleExitMs === null
        ? undefined
        : endWhenIdle(config.idleExitMs, { app, core, clock, logger }, () => asked.abort('nobody needs it'))
    process.stdout.write(`regent ready ${address}\n`)
    await told(config.stopAgents ? 'Regent stops, and its agents with it' : 'Regent stops; agents live on', logger, asked.signal)
    idle?.()
    core.refuse()
    if (config.stopAgents && !restart.signal.aborted) await stopAgents(composed)
    await home.removeAddress()
    await Promise.all([app.close(), supervisorRpc.close(), agentCommands?.close(), testbedControl?.close()])
    return restart.signal.aborted ? 'restart' : 'over'
  } finally {
    await composed.close().catch((error: unknown) => logger.error({ error: reasonOf(error) }, 'not everything was closed in order'))
  }
}

/** Doors stay open meanwhile: what agents say last is taken in, and people can watch. */
async function stopAgents({ core, logger }: Composed): Promise<void> {
  const left = await core.stopAgents()
  logger.info(
    { left },
    left === 0 ? 'every agent has ended; those that were wanted are started with the next Regent' : 'some agents did not end',
  )
}

async function openDoors(config: Config, { core, clock, logger }: Composed, opened: (url: string) => void) {
  const gate = createGate({
    identity: core.identity,
    auth: config.auth,
    allowedHosts: [config.host, ...config.allowedHosts],
    allowedOrigins: config.allowedOrigins,
    uid: process.getuid?.(),
    clock,
  })
  const link = createLinkDoor({ links: core.links, gate, logger, clock })
  const app = createHttpServer({
    core,
    gate,
    logger,
    version,
    clock,
    upgrades: new Map([['/link', link]]),
    mcp: () => loadMcp(config, core, logger),
  })
  await core.begin()
  const port = await listen(app, { host: config.host, port: config.port })
  opened(`http://${asHostName(reachable(config.host))}:${port}`)
  return app
}

async function loadMcp({ workers }: Config, core: Composed['core'], logger: Logger) {
  const { createMcpHttp } = await import('./doors/mcp/http.ts')
  return createMcpHttp({ core, version, api: workers.api, logger })
}

/** For supervisorctl; without its socket Regent serves all the same. */
async function openSupervisorRpc({ core, clock, home, log, logger }: Composed, control: SelfControl): Promise<SupervisorRpcDoor> {
  const about = { version, pid: process.pid, startedAt: Date.now() }
  const door = createSupervisorRpc({ core, about, mainLog: log, logger, clock, control })
  await door.open(home.paths.socket).catch((error: unknown) => logger.warn({ reason: reasonOf(error) }, 'supervisorctl is not served'))
  return door
}

/** Where a RabbitMQ is configured; it need not be there yet. */
async function openAgentCommandsAt({ core, brokers, clock, logger }: Composed): Promise<AgentCommandsDoor | undefined> {
  const bus = brokers.ofKind('rabbitmq')
  if (!bus) return undefined
  const { openAgentCommands } = await import('./doors/rabbitmq/door.ts')
  return openAgentCommands({ core, bus, clock, logger })
}

/** Where a STOMP broker is configured; it need not be there yet. */
function openTestbedControlAt({ core, brokers, clock, logger }: Composed, restart: () => void): TestbedControl | undefined {
  const bus = brokers.ofKind('stomp')
  return bus && openTestbedControl({ core, bus, restart, clock, logger })
}

/** The address of this machine under which a listener on every address is reached. */
const reachable = (host: string): string => (host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host)

/** Resolves at the first SIGTERM or SIGINT, or when `asked` is aborted; a second one ends the process at once, which harms nothing that was accepted. */
function told(words: string, logger: Logger, asked: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let ending = false
    const stop = (signal: NodeJS.Signals) => {
      if (ending) process.exit(1)
      ending = true
      logger.info({ signal }, words)
      resolve()
    }
    asked.addEventListener('abort', () => {
      if (!ending) logger.info({ by: asked.reason }, words)
      ending = true
      resolve()
    })
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
    process.on('SIGHUP', stop)
  })
}

/** A promise that nobody waited for must not end the program; a broken invariant must, and the next start adopts every run. */
function watchForBugs(logger: Logger): void {
  process.on('unhandledRejection', (error) =>
    logger.error({ error: reasonOf(error), stack: (error as Error)?.stack }, 'a rejection was not handled'),
  )
  process.on('uncaughtException', (error) => {
    logger.error({ error: reasonOf(error), stack: error.stack }, 'an error was not caught: Regent ends, agents live on')
    process.exit(1)
  })
}
