import type { FastifyInstance } from 'fastify'
import { PERMISSION_PATH, permissionQuestion } from '../../contract/worker-link.ts'
import type { Core } from '../../core/core.ts'
import { RegentError } from '../../kernel/errors.ts'
import type { Gate } from '../shared/gate.ts'
import { callerSignal } from './caller-signal.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its caller is a run, known by its run token: the gate looks at nothing but the headers. */
    forRuns?: boolean
  }
}

/** Where the program beside a worker's CLI asks; see contract/worker-link.ts. */
export function workerLinkRoutes(app: FastifyInstance, { core, gate }: { readonly core: Core; readonly gate: Gate }): void {
  app.post(PERMISSION_PATH, { config: { forRuns: true } }, async (request, reply) => {
    const token = gate.bearer(request.raw)
    if (token === undefined) throw new RegentError('UNAUTHENTICATED', 'the run token is missing')
    const question = permissionQuestion.safeParse(request.body)
    if (!question.success) throw new RegentError('INVALID', `invalid_request: ${question.error.issues[0]?.message ?? ''}`)
    return core.permissions.ask(token, question.data, callerSignal(reply))
  })
}
