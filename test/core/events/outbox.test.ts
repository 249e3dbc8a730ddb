import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createMemoryBus } from '../../../src/adapters/buses/memory/memory-bus.ts'
import { openSqliteStore } from '../../../src/adapters/stores/sqlite/sqlite-store.ts'
import { Journal } from '../../../src/core/events/journal.ts'
import { Outbox, type Relay } from '../../../src/core/events/outbox.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import { silentLogger } from '../../../src/kernel/logger.ts'
import type { Bus } from '../../../src/ports/bus.ts'
import type { Store } from '../../../src/ports/store.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { until } from '../../helpers/until.ts'

const relay: Relay = {
  name: 'test',
  messages: async (event) => [{ topic: { name: 'events' }, message: { id: `${event.number}`, body: String(event.data.n) } }],
}

/** A bus that refuses while `down`, and remembers what it took. */
class Taking {
  down = false
  readonly taken: string[] = []
  readonly bus: Bus

  constructor() {
    const bus = createMemoryBus({ clock: systemClock, logger: silentLogger })
    const publish: Bus['publish'] = async (_topic, message) => {
      if (this.down) throw new RegentError('UNAVAILABLE', 'the bus is down')
      this.taken.push(message.body)
    }
    this.bus = Object.assign(Object.create(bus), { publish })
  }
}

async function opened(): Promise<{ store: Store; begin(): Promise<{ outbox: Outbox; taking: Taking }> }> {
  const store = await openSqliteStore({ file: join(temporaryFolder(), 'regent.db'), logger: silentLogger, clock: systemClock })
  const running: Outbox[] = []
  onTestFinished(async () => {
    for (const outbox of running) await outbox.close()
    await store.close()
  })
  return {
    store,
    async begin() {
      const journal = new Journal(store, silentLogger)
      await journal.open()
      const taking = new Taking()
      const outbox = new Outbox({ store, journal, bus: taking.bus, clock: systemClock, logger: silentLogger })
      running.push(outbox)
      await outbox.start(relay)
      return { outbox, taking }
    },
  }
}

const happen = (store: Store, n: number) =>
  store.transaction((tables) =>
    tables.events.append({ at: n, type: 'regent.started', agentId: null, agent: null, owner: null, actor: 'test', data: { n } }),
  )
const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => String(from + index))

describe('the outbox', () => {
  it('[I2-JRN-02] carries every event out in order, and waits for a bus that is down', async () => {
    const { store, begin } = await opened()
    const { taking } = await begin()
    for (let n = 1; n <= 50; n++) await happen(store, n)
    await until(() => taking.taken.length === 50, '50 messages')
    taking.down = true
    for (let n = 51; n <= 60; n++) await happen(store, n)
    taking.down = false
    await until(() => taking.taken.length === 60, 'the rest')
    expect(taking.taken).toEqual(upTo(1, 60))
  })

  it('[I2-JRN-02] goes on after a restart where it stood, with nothing left out', async () => {
    const { store, begin } = await opened()
    const first = await begin()
    for (let n = 1; n <= 10; n++) await happen(store, n)
    await until(() => first.taking.taken.length === 10, '10 messages')
    await first.outbox.close()
    for (let n = 11; n <= 20; n++) await happen(store, n)
    const second = await begin()
    await until(() => second.taking.taken.at(-1) === '20', 'the rest')
    expect([...new Set([...first.taking.taken, ...second.taking.taken])]).toEqual(upTo(1, 20))
    expect(second.taking.taken).toEqual(upTo(11, 20))
  })
})
