import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'
import { Crew } from '../../soak/crew.ts'
import { Dice } from '../../soak/dice.ts'
import { Invariants, type View } from '../../soak/invariants.ts'
import { processes, processOf } from '../../soak/processes.ts'
import { Server } from '../../soak/server.ts'

const KILLS = 50
const AGENTS = 24
const AT_ONCE = 8
const seed = Number(process.env.REGENT_SOAK_SEED ?? Date.now() % 2 ** 31)

it(`[F16] kill -9 at ${KILLS} random points of a load of creates, starts, stops and deletes: none missing, none double, no accepted command lost (seed ${seed})`, async () => {
  const folder = temporaryFolder()
  const mains = join(folder, 'mains')
  mkdirSync(mains)
  const server = new Server(folder)
  const dice = new Dice(seed)
  const working = () => performance.now()
  const crew = new Crew(
    server,
    dice,
    Array.from({ length: AGENTS }, () => 'sleeper' as const),
    mains,
    working,
  )
  const invariants = new Invariants(crew, mains, working)
  const ours = () => processes().filter((one) => one.agentId !== undefined && crew.known.has(one.agentId))
  onTestFinished(async () => {
    await server.end('SIGKILL')
    for (const { pid } of ours()) process.kill(pid, 'SIGKILL')
  })
  await server.start()
  await crew.muster()
  let loading = true
  const load = (async () => {
    while (loading) {
      if (crew.slots.filter((slot) => slot.busy).length < AT_ONCE) crew.command()
      await pause(2)
    }
  })()
  for (let kill = 0; kill < KILLS; kill++) {
    await pause(dice.int(200))
    await server.end('SIGKILL')
    await server.start()
    invariants.look(undefined)
    await nobodyMissing(server)
  }
  loading = false
  await load
  await crew.settle()
  expect(crew.complaints).toEqual([])
  // Every accepted command has its effect, and is there once.
  const views = async () => (await server.call('GET', '/api/v1/agents?limit=500')).body.agents as View[]
  const wrong = async () => {
    const byId = new Map((await views()).map((view) => [view.id, view]))
    return crew.slots.filter(({ id, wanted }) => id !== undefined && byId.get(id)?.state !== (wanted === 'running' ? 'RUNNING' : 'STOPPED'))
  }
  await until(async () => (await wrong()).length === 0, 'every accepted command', 20_000)
  expect(new Set((await views()).map((view) => view.id))).toEqual(new Set(crew.slots.flatMap(({ id }) => (id === undefined ? [] : [id]))))
  const live = ours()
  for (const { id, wanted } of crew.slots)
    if (id !== undefined) expect([id, live.filter((one) => one.agentId === id).length]).toEqual([id, wanted === 'running' ? 1 : 0])
  for (const { agentId } of live) expect(crew.slots.map(({ id }) => id)).toContain(agentId)
  invariants.look(await views())
  expect(invariants.violations).toEqual([])
  expect(server.deaths).toEqual([])
  expect(crew.commands).toBeGreaterThan(KILLS)
  await crew.dismiss()
  expect(ours()).toEqual([])
}, 180_000)

/** Whoever is said to run, runs. */
async function nobodyMissing(server: Server): Promise<void> {
  const { body } = await server.call('GET', '/api/v1/agents?limit=500')
  for (const { id, name } of (body.agents as (View & { pid: number | null })[]).filter(
    ({ state, pid }) => state === 'RUNNING' && pid !== null && !processOf(pid),
  )) {
    // It may have ended between the two looks.
    const { body: now } = await server.call('GET', `/api/v1/agents/${id}`)
    if (now.state === 'RUNNING') expect([name, now.pid, processOf(Number(now.pid)) !== undefined]).toEqual([name, now.pid, true])
  }
}
