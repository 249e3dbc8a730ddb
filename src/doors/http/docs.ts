import type { FastifyInstance } from 'fastify'
export function docsPage(app: FastifyInstance, version: string): void {
  void app
  void version
}
