import type { FastifyInstance } from 'fastify'
import type { SystemStatus } from '../../contract/system.ts'
import type { Core } from '../../core/core.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
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

/** Parts that answer no sooner count as not ready. */
const PATIENCE_MS = 5000
/** Whoever asks whether the process lives does not wait for its parts. */
const LIVENESS_MS = 75

/**
 * /health, as the manager API's users know it: 200 while the process serves. /livez: the same without a word. /readyz: 200, or 503
 * and which check fails. /version, /metrics. All of them behind the gate, like everything else.
 */
export function healthRoutes(app: FastifyInstance, { core, auth, version, clock, logger }: HealthOptions): void {
  const status = async (patienceMs: number): Promise<Pick<SystemStatus, 'ready' | 'checks'>> => {
    const over = new AbortController()
    const late = Promise.withResolvers<never>()
    const cancel = clock.after(patienceMs, () => {
      over.abort()
      late.reject(new RegentError('UNAVAILABLE', `the parts did not answer within ${patienceMs} ms`))
    })
    try {
      const context = { caller: core.identity.localAdmin('http'), signal: over.signal }
      return (await Promise.race([core.call('system.status', {}, context), late.promise])) as SystemStatus
    } catch (error) {
      if (!(error instanceof RegentError)) logger.error({ error: withoutSecrets(reasonOf(error)) }, 'the status cannot be read')
      const message = error instanceof RegentError ? error.message : 'the status cannot be read'
      return { ready: false, checks: [{ name: 'status', ok: false, required: true, message }] }
    } finally {
      cancel()
    }
  }
  app.get('/health', async () => {
    const { checks } = await status(LIVENESS_MS)
    return {
      status: 'healthy',
      ts: clock.now() / 1000,
      service: 'regent',
      checks: Object.fromEntries(checks.map(({ name, ok }) => [name, ok ? 'ok' : 'failed'])),
      ...(auth === 'none' && { auth }),
    }
  })
  app.get('/livez', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const { ready, checks } = await status(PATIENCE_MS)
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks })
  })
  app.get('/version', async () => ({ version, node: process.versions.node }))
  metricsRoute(app, core)
}
