import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { hasPostgres, onEitherStore } from '../../scripts/checks/tests.mjs'
import { plant } from './tree.ts'

const root = join(import.meta.dirname, '../..')

it('[I4-PG-02] `npm test` runs what stands on the store on PostgreSQL too, and CI requires that', () => {
  expect(onEitherStore.filter((path) => !existsSync(join(root, path)))).toEqual([])
  expect(onEitherStore).toEqual(expect.arrayContaining(['test/core', 'test/doors/http', 'test/e2e/survival.test.ts']))
  expect(readFileSync(join(root, 'scripts/check.mjs'), 'utf8')).toContain("REGENT_TEST_STORE: 'postgres'")
  if (process.env.REGENT_TEST_SERVICES === 'required') expect(hasPostgres(root)).toBe(true)
})

it('and not in a tree that has none of these tests', () => {
  const tree = plant({ 'package.json': '{}' })
  expect(hasPostgres(tree.root)).toBe(false)
  tree.remove()
})
