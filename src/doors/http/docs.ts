import { readFile } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import { RegentError } from '../../kernel/errors.ts'

const script = `window.onload = () => {
  window.ui = SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, docExpansion: 'none' })
}
`

const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Regent API</title>
    <link rel="stylesheet" href="/docs/swagger-ui.css">
    <link rel="icon" href="/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script src="/docs/start.js"></script>
  </body>
</html>
`

const assets: Readonly<Record<string, string>> = {
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui.css': 'text/css; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

/** The page sets styles on its elements and draws icons from data: URLs; scripts come from here alone. */
const policy = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'"

/** /openapi.json, and /docs to read and try it, without the network. Nothing of it is loaded or built before it is asked for. */
export function docsRoutes(app: FastifyInstance, version: string, withPage: boolean): void {
  let document: Promise<string> | undefined
  app.get('/openapi.json', async (_request, reply) => {
    document ??= import('./openapi.ts').then(({ openApiOf }) => JSON.stringify(openApiOf(version)))
    return reply.type('application/json; charset=utf-8').send(await document)
  })
  if (!withPage) return
  // Whoever opens the address of `regent ready` in a browser.
  app.get('/', async (_request, reply) => reply.redirect('/docs'))
  app.get('/docs', async (_request, reply) => reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(page))
  app.get('/docs/start.js', async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(script))
  app.get('/docs/:file', async (request, reply) => {
    const { file } = request.params as { file: string }
    const type = Object.hasOwn(assets, file) ? assets[file] : undefined
    if (type === undefined) throw new RegentError('NOT_FOUND', 'the documentation has no such file', { hint: 'open /docs' })
    const bytes = await readFile(new URL(`static/${file}`, import.meta.resolve('@fastify/swagger-ui')))
    return reply.header('cache-control', 'private, max-age=3600').type(type).send(bytes)
  })
}
