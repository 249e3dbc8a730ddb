import { describe, expect, it } from 'vitest'
import { createHttpServer } from '../../../src/doors/http/server.ts'
import { createGate } from '../../../src/doors/shared/gate.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import { CoreWorld, userCalled } from '../../helpers/core-world.ts'
import { as, createDoor } from '../../helpers/http-door.ts'
import { parseMetrics } from '../../helpers/prometheus.ts'
import { approvalRow } from '../../helpers/rows.ts'
import { until } from '../../helpers/until.ts'

/** A whole core behind the HTTP door; /metrics is read as a token's owner. */
async function opened() {
  const world = await CoreWorld.open()
  const gate = createGate({
    ...{ identity: world.core.identity, auth: 'token', allowedHosts: [], allowedOrigins: [], uid: undefined, clock: systemClock },
  })
  const app = createHttpServer({ core: world.core, gate, logger: silentLogger, version: '0' })
  const read = async (token = 'admin-token') => {
    const answer = await app.inject({ url: '/metrics', headers: as(token) })
    return { ...answer, families: answer.statusCode === 200 ? parseMetrics(answer.body) : new Map() }
  }
  const tokenOf = async (user: string) => (await world.call<{ token: string }>('tokens.create', { user })).token
  const value = async (name: string, labels: object = {}, token?: string) => {
    const samples =
      (await read(token)).families.get(name.replace(/_(bucket|sum|count)$/, ''))?.samples ?? (await read(token)).families.get(name)?.samples
    return samples?.find(
      (one: { name: string; labels: object }) => one.name === name && JSON.stringify(one.labels) === JSON.stringify(labels),
    )?.value
  }
  return { world, app, read, tokenOf, value }
}

const command = (owner: string, name: string, policy: object = {}) => ({
  agent: { kind: 'command', owner, name, command: ['sleep', '1'], policy },
})

describe('/metrics', () => {
  it('is text that Prometheus reads, behind the gate', async () => {
    const { app, read } = await opened()
    const { headers, families } = await read()
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(families.get('process_resident_memory_bytes')?.samples[0]?.value).toBe(2 ** 26)
    expect(families.get('regent_build_info')?.samples).toMatchObject([{ labels: { version: '0', node: 'v24' }, value: 1 }])
    expect(families.get('regent_part_up')?.samples).toContainEqual({ name: 'regent_part_up', labels: { part: 'store' }, value: 1 })
    expect((await app.inject('/metrics')).statusCode).toBe(401)
  })

  it('counts starts, restarts and ends by how they came', async () => {
    const { world, value } = await opened()
    await world.call('agents.create', command('alice', 'web', { restart: 'always', startsecs: 0 }))
    await world.call('agents.start', { agent: 'alice/web', wait: true })
    world.runtime.last.end({ kind: 'exited', code: 1, at: Date.now() })
    await until(() => world.runtime.runs.length === 2, 'it was restarted')
    await world.call('agents.stop', { agent: 'alice/web', wait: true })
    await until(async () => (await value('regent_run_exits_total', { owner: 'alice', kind: 'signal', asked: 'true' })) === 1, 'the stop')
    expect(await value('regent_run_exits_total', { owner: 'alice', kind: 'exit', asked: 'false' })).toBe(1)
    expect(await value('regent_run_starts_total', { owner: 'alice' })).toBe(2)
    expect(await value('regent_restarts_total', { owner: 'alice' })).toBe(1)
    expect(await value('regent_run_start_seconds_count', { owner: 'alice' })).toBe(2)
    expect(await value('regent_agents', { owner: 'alice', kind: 'command', state: 'STOPPED' })).toBe(1)
    expect(await value('regent_events_total', { type: 'agent.created' })).toBe(1)
  })

  it('tells a user of his own agents alone', async () => {
    const { world, read, tokenOf } = await opened()
    for (const owner of ['alice', 'bob']) {
      await world.call('agents.create', command(owner, 'web'))
      await world.call('agents.start', { agent: `${owner}/web`, wait: true })
      world.runtime.taken.set(world.runtime.last.handle.runId, { memoryBytes: 1024, cpuSeconds: 2.5, processes: 1, openFiles: null })
    }
    const token = await tokenOf('alice')
    await until(async () => (await read()).families.get('regent_agent_memory_bytes')?.samples.length === 2, 'both are seen')
    const { families, body } = await read(token)
    expect(body).not.toContain('bob')
    expect(families.get('regent_agent_memory_bytes')?.samples).toMatchObject([{ labels: { owner: 'alice', name: 'web' }, value: 1024 }])
    expect(families.get('regent_agent_cpu_seconds_total')?.samples).toMatchObject([{ value: 2.5 }])
    expect(families.get('regent_agent_open_files')?.samples).toEqual([])
    expect(families.get('regent_run_starts_total')?.samples).toHaveLength(1)
    expect(families.has('regent_events_total')).toBe(false)
  })

  it('counts what waits', async () => {
    const { world, value } = await opened()
    const id = await world.team()
    await world.call('messages.send', { agent: id, content: 'hello' })
    expect(await value('regent_messages_waiting', { owner: 'alice' })).toBe(1)
    expect(await value('regent_approvals_pending', { owner: 'alice' })).toBe(0)
    await until(async () => (await value('regent_messages_received_total', { owner: 'alice' })) === 1, 'the event was counted')
  })

  it('counts workers by state, and their turns by how they ended; a user is told of his own', async () => {
    const { world, read, tokenOf, value } = await opened()
    const created = (owner: string, more: object = {}) => world.call('workers.create', { worker: { prompt: 'do it', owner, ...more } })
    await created('alice')
    await until(async () => (await value('regent_workers_started_total', { owner: 'alice' })) === 1, 'the start')
    expect(await value('regent_workers', { owner: 'alice', agent: 'claude', state: 'running' })).toBe(1)
    const [run] = world.runtime.runs
    run?.end({ kind: 'exited', code: 1, at: Date.now() })
    await until(async () => (await value('regent_workers_ended_total', { owner: 'alice', outcome: 'failed' })) === 1, 'the end')
    expect(await value('regent_workers', { owner: 'alice', agent: 'claude', state: 'running' })).toBeUndefined()
    await created('bob', { agent: 'codex' })
    await until(async () => (await value('regent_workers_started_total', { owner: 'bob' })) === 1, 'the start of another')
    const row = (await world.store.read.workers.open())[0]
    await world.store.transaction((tables) => tables.approvals.insert(approvalRow(null, { workerId: row?.id ?? '' })))
    expect(await value('regent_approvals_pending', { owner: 'bob' })).toBe(1)
    expect(await value('regent_run_starts_total', { owner: 'bob' })).toBe(0)
    expect(await value('regent_workers_limited_total', { owner: 'bob' })).toBe(0)
    const token = await tokenOf('alice')
    const { families, body } = await read(token)
    expect(body).not.toContain('bob')
    expect(families.get('regent_workers')?.samples).toEqual([])
    expect(families.get('regent_workers_ended_total')?.samples).toMatchObject([{ labels: { owner: 'alice', outcome: 'failed' }, value: 1 }])
    const status = await world.call('system.status', {})
    expect(status).toMatchObject({ workers: { open: 1, by_state: { running: 1 } }, approvals_pending: 1 })
    const own = await world.call('system.status', {}, userCalled('alice'))
    expect(own).toMatchObject({ workers: { open: 0, by_state: {} }, approvals_pending: 0 })
  })

  it('escapes what a label holds', async () => {
    const { app, fake } = createDoor()
    const labels = { part: 'a "quoted"\\part\nwith a line' }
    fake.families = () => [{ name: 'regent_part_up', help: 'parts', type: 'gauge', samples: [{ labels, value: 1 }] }]
    const { body } = await app.inject({ url: '/metrics', headers: as('admin-token-0123456789') })
    expect(parseMetrics(body).get('regent_part_up')?.samples).toEqual([{ name: 'regent_part_up', labels, value: 1 }])
  })
})
