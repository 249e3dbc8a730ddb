import { describe, expect, it } from 'vitest'
import { operationList } from '../../../src/contract/operations.ts'
import { isObject } from '../../../src/kernel/json.ts'
import { ALICE, as, createDoor } from '../../helpers/http-door.ts'

type Doc = Record<string, Record<string, Record<string, unknown>>>

async function documentOf(): Promise<{ doc: Record<string, unknown>; paths: Doc; schemas: Record<string, unknown> }> {
  const { app } = createDoor()
  const answer = await app.inject({ url: '/openapi.json', headers: as(ALICE) })
  expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'application/json; charset=utf-8'])
  const doc = answer.json() as Record<string, unknown> & { paths: Doc; components: { schemas: Record<string, unknown> } }
  return { doc, paths: doc.paths, schemas: doc.components.schemas }
}

function* refsOf(value: unknown): Generator<string> {
  if (Array.isArray(value)) for (const inner of value) yield* refsOf(inner)
  if (!isObject(value)) return
  for (const [key, inner] of Object.entries(value)) {
    if (key === '$ref') yield String(inner)
    else yield* refsOf(inner)
  }
}

describe('/openapi.json', () => {
  it('is 3.1 and has every operation of the table, and the manager API [I2-API-04]', async () => {
    const { doc, paths } = await documentOf()
    expect(doc).toMatchObject({ openapi: '3.1.0', info: { title: 'Regent', version: '0.0.0-test' } })
    for (const { name, http } of operationList)
      expect(paths[http.path.replace(/:(\w+)/g, '{$1}')]?.[http.method.toLowerCase()]?.operationId).toBe(name)
    expect(Object.keys(paths['/agents/{agent_name}'] ?? {})).toEqual(['get', 'delete'])
    expect(Object.keys(paths['/agents'] ?? {})).toEqual(['post', 'get'])
  })

  it('describes nothing that is not served', async () => {
    const { app } = createDoor({ docs: false })
    await app.ready()
    const { paths } = await documentOf()
    const described = Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`))
    for (const route of described) {
      const [method = '', path = ''] = route.split(' ')
      expect(app.hasRoute({ method: method as 'GET', url: path.replace(/\{(\w+)\}/g, ':$1') }), route).toBe(true)
    }
  })

  it('refers only to what it has', async () => {
    const { doc, schemas } = await documentOf()
    const names = [...new Set(refsOf(doc))].map((ref) => ref.replace('#/components/schemas/', ''))
    expect(names.length).toBeGreaterThan(5)
    expect(names.filter((name) => !(name in schemas))).toEqual([])
  })

  it('has each part of a path as a parameter, and every operation once', async () => {
    const { paths } = await documentOf()
    const ids: unknown[] = []
    for (const [path, item] of Object.entries(paths))
      for (const operation of Object.values(item)) {
        if (operation.operationId) ids.push(operation.operationId)
        const parameters = (operation.parameters ?? []) as { name: string; in: string; required: boolean }[]
        const inPath = parameters.filter((parameter) => parameter.in === 'path')
        expect(inPath.map((parameter) => `{${parameter.name}}`).sort(), path).toEqual((path.match(/\{\w+\}/g) ?? []).sort())
        expect(inPath.every((parameter) => parameter.required)).toBe(true)
      }
    expect(new Set(ids).size).toBe(ids.length)
  })
})

describe('/docs', () => {
  it('is a page that needs nothing from elsewhere [S0-09] [I2-API-04]', async () => {
    const { app } = createDoor()
    const page = await app.inject({ url: '/docs', headers: as(ALICE) })
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(page.headers['content-security-policy']).toContain("default-src 'self'")
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'")
    expect(page.body).not.toMatch(/https?:/)
    const parts = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
    expect(parts.length).toBe(4)
    for (const url of parts) {
      const part = await app.inject({ url, headers: as(ALICE) })
      expect([url, part.statusCode, part.rawPayload.length > 100]).toEqual([url, 200, true])
      expect(part.headers['x-content-type-options']).toBe('nosniff')
    }
  })

  it('has no other files, and stands behind the gate', async () => {
    const { app } = createDoor()
    for (const file of ['index.html', '..%2fpackage.json', '__proto__', 'constructor'])
      expect((await app.inject({ url: `/docs/${file}`, headers: as(ALICE) })).statusCode).toBe(404)
    expect((await app.inject({ url: '/docs' })).statusCode).toBe(401)
  })

  it('can be left out', async () => {
    const { app } = createDoor({ docs: false })
    expect((await app.inject({ url: '/docs', headers: as(ALICE) })).statusCode).toBe(404)
    expect((await app.inject({ url: '/openapi.json', headers: as(ALICE) })).statusCode).toBe(200)
  })
})

describe('/', () => {
  it('leads to the documentation', async () => {
    const { app } = createDoor()
    const answer = await app.inject({ url: '/', headers: as(ALICE) })
    expect([answer.statusCode, answer.headers.location]).toEqual([302, '/docs'])
  })
})
