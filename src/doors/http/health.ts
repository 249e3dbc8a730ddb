import type { FastifyInstance } from 'fastify'
import type { SystemStatus } from '../../contract/system.ts'
import type { Core } from '../../core/core.ts'
import type { Clock } from '../../kernel/clock.ts'
import { RegentError, reasonOf } from '../../kernel/errors.ts'
import type { Logger } from '../../kernel/logger.ts'
import { withoutSecrets } from '../shared/without-secrets.ts'

export interface HealthOptions {
  readonly core: Core
  readonly auth: 'auto' | 'token' | 'none'
  readonly version: string
  readonly clock: Clock
  readonly logger: Logger
}

/** A part that answers no sooner counts as not ready. */
const PATIENCE_MS = 5000

/**
 * /health, as the manager API's users know it: 200 while the process serves. /livez: the same without a word. /readyz: 200, or 503
 * and which check fails. /version. All of them behind the gate, like everything else.
 */
export function healthRoutes(app: FastifyInstance, { core, auth, version, clock, logger }: HealthOptions): void {
  const status = async (): Promise<Pick<SystemStatus, 'ready' | 'checks'>> => {
    try {
      const context = { caller: core.identity.localAdmin('http'), signal: AbortSignal.timeout(PATIENCE_MS) }
      return (await core.call('system.status', {}, context)) as SystemStatus
    } catch (error) {
      if (!(error instanceof RegentError)) logger.error({ error: withoutSecrets(reasonOf(error)) }, 'the status cannot be read')
      const message = error instanceof RegentError ? error.message : 'the status cannot be read'
      return { ready: false, checks: [{ name: 'status', ok: false, required: true, message }] }
    }
  }
  app.get('/health', async () => {
    const { checks } = await status()
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
    const { ready, checks } = await status()
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', checks })
  })
  app.get('/version', async () => ({ version, node: process.versions.node }))
  app.get('/metrics', async () => {
    throw new RegentError('NOT_YET', 'metrics are not served yet', { hint: 'GET /api/v1/status has the counts of agents and messages' })
  })
}
