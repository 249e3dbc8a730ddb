import type { FastifyInstance } from 'fastify'
import type { Metric } from 'prom-client'
import type { Core } from '../../core/core.ts'
import type { Family } from '../../core/system/families.ts'

/** /metrics, in the text format of Prometheus, of the agents that the caller may see. Nothing is loaded before it is asked for. */
export function metricsRoute(app: FastifyInstance, core: Pick<Core, 'metrics'>): void {
  app.get('/metrics', async (request, reply) => {
    const [{ Registry }, families] = await Promise.all([import('prom-client'), core.metrics(request.caller)])
    const registry = new Registry()
    for (const family of families) registry.registerMetric(metricOf(family))
    return reply.type(registry.contentType).send(await registry.metrics())
  })
}

/** What a registry asks of a metric: here the numbers are counted elsewhere, and each reader has a registry of his own. */
function metricOf({ name, help, type, samples }: Family): Metric {
  const values = samples.map(({ name: metricName = name, labels, value }) => ({ metricName, labels, value }))
  return { name, get: async () => ({ name, help, type, values }) } as unknown as Metric
}
