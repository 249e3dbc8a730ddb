import { describe, expect, it, onTestFinished } from 'vitest'
import { openBrokers, openSafely } from '../../../src/adapters/buses/broker-pool.ts'
import { createMemoryBus } from '../../../src/adapters/buses/memory/memory-bus.ts'
import { type BrokerSettings, parseBrokerUrl } from '../../../src/contract/brokers.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { type Logger, silentLogger } from '../../../src/kernel/logger.ts'
import { describeWith } from '../../helpers/services.ts'
import { certificates, tlsBefore } from '../../helpers/tls.ts'

/** A logger that keeps its warnings. */
function told() {
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (_: unknown, text: unknown) => void warnings.push(String(text)), child: () => logger }
  return { logger, warnings }
}

describeWith('activemq', 'a broker whose certificate nobody knows', ({ url }) => {
  it('[I4-BUS-05] is used only where REGENT_ALLOW_INSECURE_TLS allows it; otherwise it is told that its settings are not obeyed', async () => {
    const plain = parseBrokerUrl(url)
    const { port } = await tlsBefore(plain, certificates('DNS:elsewhere'))
    const settings: BrokerSettings = { ...plain, addresses: [`127.0.0.1:${port}`], tls: { verify: false, checkHostname: false } }
    const { logger, warnings } = told()
    const strict = await openSafely(settings, { allowInsecureTls: false, clock: systemClock, logger })
    onTestFinished(() => strict.close())
    await expect(strict.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/certificate/i) })
    expect(warnings.join()).toContain('REGENT_ALLOW_INSECURE_TLS=1')
    const lax = await openSafely(settings, { allowInsecureTls: true, clock: systemClock, logger: silentLogger })
    onTestFinished(() => lax.close())
    await expect(lax.check()).resolves.toBeUndefined()
  })
})

describeWith('redis', 'the pool of brokers', ({ url }) => {
  const settings = parseBrokerUrl(url)
  const open = async (named: readonly BrokerSettings[]) => {
    const bus = createMemoryBus({ clock: systemClock, logger: silentLogger })
    const own = { bus, settings: undefined }
    const pool = await openBrokers({ bus: own, settings: named, allowInsecureTls: false, clock: systemClock, logger: silentLogger })
    onTestFinished(() => pool.close())
    return pool
  }

  it('opens each broker once, whoever names it', async () => {
    const pool = await open([settings, settings])
    expect(pool.configured.map(({ name }) => name)).toEqual(['bus', 'redis'])
    expect(await pool.at(settings)).toBe(pool.ofKind('redis'))
  })

  it('closes what an agent named when the last who uses it has let go', async () => {
    const pool = await open([])
    const [one, two] = await Promise.all([pool.at(settings), pool.at(settings)])
    expect(one).toBe(two)
    await pool.release(settings)
    await expect(one?.check()).resolves.toBeUndefined()
    await pool.release(settings)
    await expect(one?.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  })
})

describe('an address', () => {
  it('is told without its account', async () => {
    const pool = await openBrokers({
      bus: { bus: createMemoryBus({ clock: systemClock, logger: silentLogger }), settings: undefined },
      settings: [parseBrokerUrl('redis://ann:secret@127.0.0.1:1/2')],
      allowInsecureTls: false,
      clock: systemClock,
      logger: silentLogger,
    })
    onTestFinished(() => pool.close())
    expect(pool.configured[1]?.address).toBe('redis at 127.0.0.1:1/2')
  })
})
