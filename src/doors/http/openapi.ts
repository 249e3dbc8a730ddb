import type { OperationShape } from '../../contract/operation.ts'
import { operationList } from '../../contract/operations.ts'
import { errorTable } from '../../kernel/errors.ts'
import { managerPaths } from './openapi-manager.ts'
import { type Describe, type Doc, describeInto } from './openapi-schemas.ts'

/** OpenAPI 3.1 of all that is served, from the operations table and the dialects' own lists. */
export function openApiOf(version: string): Doc {
  const schemas: Doc = { Problem: problemSchema }
  const describe = describeInto(schemas)
  const paths: Record<string, Doc> = {}
  for (const operation of operationList) {
    const path = operation.http.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [operation.http.method.toLowerCase()]: operationDoc(operation, describe) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Regent',
      version,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'Starts, supervises, connects and watches AI agents. From the same local user no token is needed; everybody else sends one (see Authorize).',
    },
    security: [{}, { token: [] }],
    paths: { ...paths, ...managerPaths(describe), ...serverPaths },
    components: { schemas, securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'regent token create USER' } } },
  }
}

function operationDoc(operation: OperationShape, describe: Describe): Doc {
  const input = describe(operation.input, 'input')
  const properties = (input.properties ?? {}) as Record<string, Doc>
  const required = (input.required ?? []) as string[]
  const inPath = new Set([...operation.http.path.matchAll(/:(\w+)/g)].map((match) => match[1] ?? ''))
  const rest = Object.entries(properties).filter(([name]) => !inPath.has(name))
  const hasBody = operation.http.method === 'POST' || operation.http.method === 'PATCH'
  const parameters = [
    ...[...inPath].map((name) => ({ name, in: 'path', required: true, schema: properties[name] ?? { type: 'string' } })),
    ...(hasBody ? [] : rest.map(([name, schema]) => ({ name, in: 'query', required: required.includes(name), schema, explode: false }))),
    ...headersOf(operation),
  ]
  const body = { ...input, properties: Object.fromEntries(rest), required: required.filter((name) => !inPath.has(name)) }
  return {
    operationId: operation.name,
    summary: operation.summary,
    description: `Needs the role ${operation.role}.`,
    tags: [operation.name.split('.')[0]],
    ...(parameters.length > 0 && { parameters }),
    ...(hasBody && { requestBody: { required: body.required.length > 0, content: { 'application/json': { schema: body } } } }),
    responses: { [operation.name.endsWith('s.create') ? '201' : '200']: success(operation, describe), default: failure },
  }
}

function success(operation: OperationShape, describe: Describe): Doc {
  const schema = describe(operation.output, 'output')
  if (operation.reply === 'value') return { description: 'Done', content: { 'application/json': { schema } } }
  return { description: 'A stream of items', content: { 'text/event-stream': { schema }, 'application/x-ndjson': { schema } } }
}

function headersOf(operation: OperationShape): Doc[] {
  const header = (name: string, description: string): Doc => ({
    name,
    in: 'header',
    required: false,
    description,
    schema: { type: 'string' },
  })
  if (operation.name === 'events.stream') return [header('Last-Event-ID', 'goes on after this event')]
  if (operation.effect === 'read') return []
  return [
    header('Idempotency-Key', 'the same key again has one effect and gets the same answer'),
    ...(operation.name === 'agents.update' ? [header('If-Match', 'the ETag that was read: refused with 412 when it is another now')] : []),
  ]
}

const failure = {
  description: 'Refused or failed',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

const problemSchema = {
  type: 'object',
  description: 'RFC 9457',
  required: ['type', 'title', 'status', 'code', 'detail', 'hint', 'errors', 'request_id'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: Object.keys(errorTable) },
    detail: { type: 'string' },
    hint: { type: ['string', 'null'], description: 'what to do about it' },
    errors: {
      type: 'array',
      items: { type: 'object', required: ['path', 'message'], properties: { path: { type: 'string' }, message: { type: 'string' } } },
    },
    details: { type: 'object' },
    request_id: { type: 'string' },
  },
}

const serverPath = (summary: string, tags = ['server']): Doc => ({
  get: {
    summary,
    tags,
    responses: { 200: { description: 'Done', content: { 'application/json': { schema: { type: 'object' } } } }, default: failure },
  },
})

const serverPaths: Doc = {
  '/health': serverPath('Whether the server serves', ['manager API']),
  '/livez': serverPath('Whether the process lives'),
  '/readyz': serverPath('Whether everything it stands on is there; 503 names what is not'),
  '/version': serverPath('Which version this is'),
}
