import type { FastifyInstance } from 'fastify'
export function managerApi(app: FastifyInstance, options: object): void {
  void app
  void options
}
