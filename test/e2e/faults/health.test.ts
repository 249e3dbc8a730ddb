import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { create, running, seen } from '../../helpers/commands.ts'
import { cryptoTrader } from '../../helpers/crypto-trader.ts'
import { Regent } from '../../helpers/regent.ts'
import { until } from '../../helpers/until.ts'

interface Health {
  readonly health: string | null
  readonly ready: boolean | null
  readonly activity: string | null
}
interface Told {
  readonly type: string
  readonly actor: string
  readonly data: Record<string, unknown>
}

const look = async (regent: Regent, agent: string) => (await seen(regent, agent)) as Awaited<ReturnType<typeof seen>> & Health
const told = async (regent: Regent, agent: string, type: string): Promise<Told[]> =>
  (await regent.fetch(`/api/v1/events/history?agent=${agent}&types=${type}&after=0`)).body.events as Told[]
const isHealth = (regent: Regent, agent: string, health: string | null, ready: boolean | null = null) =>
  until(
    async () => {
      const now = await look(regent, agent)
      return now.health === health && now.ready === ready
    },
    `${agent} ${health} ${ready}`,
    20_000,
  )

/** A team whose heartbeat is looked at often; resolves once it answers. */
async function team(regent: Regent, liveness: object): Promise<{ id: string; pid: number }> {
  const { subagents, json_config } = cryptoTrader({ backend: 'memory', channel_name: 'crew' })
  const policy = { startsecs: 0, stop_grace: 1, probes: { liveness: { type: 'heartbeat', ...liveness } } }
  const config = { ...(json_config as object), mcp: { servers: {} } }
  const agent = { kind: 'team', name: 'crew', subagents, json_config: config, policy }
  const { status, body } = await regent.post('/api/v1/agents', { agent, start: true })
  if (status >= 300) throw new Error(JSON.stringify(body))
  await isHealth(regent, String(body.id), 'healthy')
  return { id: String(body.id), pid: (await look(regent, String(body.id))).pid ?? 0 }
}

describe('an agent that hangs', () => {
  it('[F13] is unhealthy after three misses of its heartbeat, and restarted by its policy; both are told', async () => {
    const regent = await Regent.start()
    const { id, pid } = await team(regent, { interval: 0.5, timeout: 0.5, failures: 3 })
    process.kill(pid, 'SIGSTOP')
    await until(async () => (await look(regent, id)).restarts === 1, 'restarted', 20_000)
    await isHealth(regent, id, 'healthy')
    const now = await look(regent, id)
    expect(now.pid).not.toBe(pid)
    expect(now.reason).toMatch(/alive for 0 s|restart 1 after: unhealthy/)
    const changes = await told(regent, id, 'agent.health_changed')
    expect(changes.map(({ data }) => data.health)).toEqual(['healthy', 'unhealthy', 'healthy'])
    expect(changes[1]?.data.message).toBe('its runner did not answer within 0.5 s (3 times in a row)')
    const [end] = await told(regent, id, 'run.exited')
    expect(end?.data).toMatchObject({ unfit: true, reason: expect.stringContaining('unhealthy: its runner did not answer') })
    expect(() => process.kill(pid, 0)).toThrow()
  })

  it('[part of F20] that Regent itself stood still, was killed and came back is held against nobody', async () => {
    const regent = await Regent.start()
    const { id, pid } = await team(regent, { interval: 0.3, timeout: 0.3, failures: 2 })
    process.kill(regent.pid, 'SIGSTOP')
    const stoodStill = performance.now() + 3000
    await until(() => performance.now() >= stoodStill, 'ten looks that Regent misses')
    process.kill(regent.pid, 'SIGCONT')
    await until(async () => (await look(regent, id)).health === 'healthy', 'healthy')
    await regent.kill()
    await regent.serve()
    await isHealth(regent, id, 'healthy')
    expect(await look(regent, id)).toMatchObject({ pid, restarts: 0 })
    expect((await told(regent, id, 'agent.health_changed')).map(({ data }) => data.health)).not.toContain('unhealthy')
  })
})

describe('probes of a plain program', () => {
  it('HTTP liveness has it restarted, TCP readiness only shows it [I3-HEALTH-01]', async () => {
    const regent = await Regent.start()
    let status = 200
    const server = createServer((_request, response) => response.writeHead(status).end())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    const quick = { interval: 0.2, timeout: 1 }
    const probes = {
      liveness: { type: 'http', url: `http://127.0.0.1:${port}/health`, ...quick },
      readiness: { type: 'tcp', port, ...quick },
    }
    await running(regent, 'web', 'exec sleep 600', { restart: 'always', probes })
    await isHealth(regent, 'web', 'healthy', true)
    const before = await look(regent, 'web')
    status = 503
    await until(async () => (await look(regent, 'web')).restarts === 1, 'restarted')
    status = 200
    await isHealth(regent, 'web', 'healthy', true)
    expect((await look(regent, 'web')).pid).not.toBe(before.pid)
    server.close()
    server.closeAllConnections()
    await until(async () => (await look(regent, 'web')).ready === false, 'not ready')
    const { stdout } = await regent.run('ps')
    expect(stdout).toMatch(/web .*(unhealthy|not ready|STARTING)/)
  })

  it('a program beside it is asked [part of I3-HEALTH-01]', async () => {
    const regent = await Regent.start()
    const well = join(regent.project, 'well')
    writeFileSync(well, '')
    const liveness = { type: 'exec', command: ['test', '-e', well], interval: 0.3, timeout: 5 }
    await running(regent, 'web', 'exec sleep 600', { restart: 'never', probes: { liveness } })
    await isHealth(regent, 'web', 'healthy')
    rmSync(well)
    await isHealth(regent, 'web', 'unhealthy')
    expect((await look(regent, 'web')).restarts).toBe(0)
    expect((await regent.run('show', 'web')).stdout).toContain('test: exited with 1')
  })
})

describe('a program that lives and does nothing', () => {
  it('is warned of and restarted; one that prints is left alone', async () => {
    const regent = await Regent.start()
    const stalled = { after: 2, every: 1, steps: ['warn', 'restart'] }
    await running(regent, 'busy', 'while :; do echo tick; sleep 0.3; done', { stalled })
    const { pid } = await running(regent, 'silent', 'echo begun; exec sleep 600', { restart: 'always', stalled })
    await until(async () => (await look(regent, 'silent')).activity === 'stalled', 'stalled')
    await until(async () => (await look(regent, 'silent')).restarts === 1, 'restarted')
    expect((await look(regent, 'silent')).pid).not.toBe(pid)
    const steps = await told(regent, 'silent', 'agent.stalled')
    expect(steps.slice(0, 2).map(({ data }) => data.step)).toEqual(['warn', 'restart'])
    expect(await told(regent, 'busy', 'agent.stalled')).toEqual([])
  })
})

describe('a schedule', () => {
  it('starts a job again and again, and names itself as who asked', async () => {
    const regent = await Regent.start()
    await create(regent, 'job', 'echo done', { startsecs: 0, schedules: [{ cron: '* * * * * *', timezone: 'Europe/Berlin' }] })
    const started = async () => (await told(regent, 'job', 'agent.schedule_fired')).filter(({ data }) => data.done === 'started')
    await until(async () => (await started()).length >= 2, 'it was started twice', 20_000)
    expect((await started())[0]).toMatchObject({ actor: 'schedule', data: { cron: '* * * * * *', action: 'start', missed: false } })
    expect((await regent.run('show', 'job')).stdout).toMatch(/schedules +start at \* \* \* \* \* \* Europe\/Berlin, next /)
    const bad = { kind: 'command', name: 'bad', command: ['true'], policy: { schedules: [{ cron: '61 * * * *' }] } }
    const { status, body } = await regent.post('/api/v1/agents', { agent: bad })
    expect(status).toBe(422)
    expect(JSON.stringify(body)).toContain('policy.schedules.0.cron')
  })
})
