import { expect, it } from 'vitest'
import type { ProbeOutcome } from '../../src/ports/prober.ts'
import { Supervised } from '../helpers/supervised.ts'
import { until } from '../helpers/until.ts'

it('probes that never answer held up those of all other agents for as long as their timeouts', async () => {
  const world = await Supervised.open()
  const start = async (port: number, timeout: number) => {
    const id = await world.agent({ startsecs: 0, probes: { readiness: { type: 'tcp', port, timeout } } })
    await world.ask('start', id, true)
    return id
  }
  let hanging = 0
  world.prober.probe = async (probe?: { port?: number }): Promise<ProbeOutcome> => {
    if (probe?.port !== 1) return { ok: true, message: 'well' }
    hanging++
    return new Promise(() => {})
  }
  for (let n = 0; n < 64; n++) await start(1, 3600)
  await world.passes(2)
  await until(() => hanging === 64, 'all slots are taken')
  const other = await start(2, 5)
  await world.passes(5)
  await until(() => world.observed.health(other).ready === true, 'the look at the other')
  expect(hanging).toBe(64)
})
