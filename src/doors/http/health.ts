import type { FastifyInstance } from 'fastify'
import type { Check } from '../../contract/system.ts'
import type { Core } from '../../core/core.ts'
import type { Clock } from '../../kernel/clock.ts'
import { reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { withoutSecrets } from '../shared/without-secrets.ts'
import { metricsRoute } from './metrics.ts'

export interface HealthOptions {
  readonly core: Core
  readonly auth: 'auto' | 'token' | 'none'
  readonly version: string
  readonly clock: Clock
  readonly logger: Logger
}

/** Whoever asks whether the process lives does not wait for its parts: he is told how they were. */
const LIVENESS_MS = 50

/**
 * /health, as the manager API's users know it: 200 while the process serves. /livez: the same without a word. /readyz: 200, or 503
 * and which check fails. /version, /metrics. All of them behind the gate, like everything else.
 */
export function healthRoutes(app: FastifyInstance, { core, auth, version, clock, logger }: HealthOptions): void {
  const read = (): Promise<readonly Check[]> =>
    core.checks().catch((error: unknown): Check[] => {
      logger.error({ error: withoutSecrets(reasonOf(error)) }, 'the checks cannot be read')
      return [{ name: 'checks', ok: false, required: true, message: 'the checks cannot be read' }]
    })
  let known: readonly Check[] = []
  let reading: Promise<readonly Check[]> | undefined
  /** One reading for all who ask meanwhile. */
  const checks = (): Promise<readonly Check[]> => {
    reading ??= read().then((found) => {
      reading = undefined
      known = found
      return found
    })
    return reading
  }
  const checksSoon = async (): Promise<readonly Check[]> => {
    const late = Promise.withResolvers<void>()
    const cancel = clock.after(LIVENESS_MS, late.resolve)
    await Promise.race([checks(), late.promise])
    cancel()
    return known
  }
  app.get('/health', async () => ({
    status: 'healthy',
    ts: clock.now() / 1000,
    service: 'regent',
    checks: Object.fromEntries((await checksSoon()).map(({ name, ok }) => [name, ok ? 'ok' : 'failed'])),
    ...(auth === 'none' && { auth }),
  }))
  app.get('/livez', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const found = await checks()
    const ready = found.every(({ ok, required }) => ok || !required)
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks: found })
  })
  app.get('/version', async () => ({ version, node: process.versions.node }))
  metricsRoute(app, core)
}
