import type { FastifyInstance } from 'fastify'
import { RegentError } from '../../kernel/errors.ts'
import { PROBLEM_TYPE, problemOf } from './problem.ts'

/** 404 for what is not there, 405 with Allow for a path that exists under other methods. Call before any route is added. */
export function unknownRoutes(app: FastifyInstance): void {
  const known: { readonly methods: readonly string[]; readonly path: RegExp }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    known.push({ methods: [method].flat(), path: patternOf(url) })
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const methods = new Set(known.filter((route) => route.path.test(path)).flatMap((route) => route.methods))
    if (methods.size === 0) throw new RegentError('NOT_FOUND', 'nothing is served at this path', { hint: 'see /docs for what is' })
    const allow = [...methods].sort().join(', ')
    const error = new RegentError('BAD_REQUEST', `this path takes ${allow}`)
    const problem = { ...problemOf(error, request.id), status: 405, title: 'Method not allowed' }
    reply.code(405).header('allow', allow).type(PROBLEM_TYPE).send(JSON.stringify(problem))
  })
}

/** `/agents/:name/start` as an expression over the undecoded path. */
function patternOf(url: string): RegExp {
  const parts = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part === '*' ? '.*' : part.replaceAll('.', '\\.')))
  return new RegExp(`^${parts.join('/')}/?$`)
}
