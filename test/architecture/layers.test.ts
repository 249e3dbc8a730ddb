import { createRequire } from 'node:module'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check, type Outcome, plant } from './tree.ts'

type Rule = { readonly name: string; readonly severity: string }
const config = createRequire(import.meta.url)(join(import.meta.dirname, '../../.dependency-cruiser.cjs')) as { forbidden: readonly Rule[] }

const packages: Readonly<Record<string, string>> = {
  'package.json': '{ "name": "planted", "type": "module", "dependencies": { "zod": "*", "fastify": "*" } }\n',
  'node_modules/zod/package.json': '{ "name": "zod", "type": "module", "main": "index.js" }\n',
  'node_modules/zod/index.js': 'export const z = {}\n',
  'node_modules/fastify/package.json': '{ "name": "fastify", "main": "index.js", "types": "index.d.ts" }\n',
  'node_modules/fastify/index.js': '',
  'node_modules/fastify/index.d.ts': 'export interface FastifyInstance {}\n',
}

/** A house that keeps every rule. */
const house: Readonly<Record<string, string>> = {
  'src/main.ts': "import { start } from './compose.ts'\nimport { store } from './compose-store.ts'\nstart()\nstore()\n",
  'src/compose-store.ts': "import { createMemory } from './adapters/buses/memory/bus.ts'\nexport const store = createMemory\n",
  'src/compose.ts':
    "import { createMemory } from './adapters/buses/memory/bus.ts'\nimport { door } from './doors/http/door.ts'\nexport const start = () => door(createMemory())\n",
  'src/kernel/ids.ts': "export const id = () => 'x'\n",
  'src/config/load.ts': "import { id } from '../kernel/ids.ts'\nexport const load = id\n",
  'src/contract/agents.ts': "import { z } from 'zod'\nimport { id } from '../kernel/ids.ts'\nexport const agent = () => z.literal(id())\n",
  'src/ports/bus.ts': "import type { agent } from '../contract/agents.ts'\nexport type Bus = { publish(message: typeof agent): void }\n",
  'src/core/events/journal.ts':
    "import { EventEmitter } from 'node:events'\nimport { z } from 'zod'\nimport type { Bus } from '../../ports/bus.ts'\nexport const journal = (bus: Bus) => [z, EventEmitter, bus]\n",
  'src/adapters/buses/shared/frames.ts': 'export const frame = 1\n',
  'src/adapters/buses/memory/bus.ts':
    "import type { Bus } from '../../../ports/bus.ts'\nimport { frame } from '../shared/frames.ts'\nexport const createMemory = (): Bus => ({ publish: () => void frame })\n",
  'src/adapters/buses/redis/bus.ts': "import { createServer } from 'node:net'\nexport const server = createServer\n",
  'src/client/client.ts': "import { agent } from '../contract/agents.ts'\nexport const client = agent\n",
  'src/doors/http/door.ts':
    "import { journal } from '../../core/events/journal.ts'\nimport type { Bus } from '../../ports/bus.ts'\nexport const door = (bus: Bus) => journal(bus)\n",
  'src/doors/cli/regent.ts': "import { client } from '../../client/client.ts'\nexport const cli = client\n",
  'src/runner/compose.ts': "import { createMemory } from '../adapters/buses/memory/bus.ts'\nexport const runner = createMemory\n",
  'src/runner/inbox.ts': "import type { Bus } from '../ports/bus.ts'\nexport const inbox = (bus: Bus) => bus\n",
  'web/src/app.ts': "import { agent } from '../../src/contract/agents.ts'\nexport const app = agent\n",
}

/** One file that breaks one rule, and where its import leads. */
const breaches: Readonly<Record<string, readonly [file: string, text: string, to: string]>> = {
  'no-cycles': ['src/kernel/a.ts', "import './b.ts'\n", 'src/kernel/b.ts'],
  'kernel-knows-nothing': ['src/kernel/c.ts', "import '../contract/agents.ts'\n", 'src/contract/agents.ts'],
  'config-knows-kernel': ['src/config/a.ts', "import '../contract/agents.ts'\n", 'src/contract/agents.ts'],
  'contract-knows-kernel': ['src/contract/a.ts', "import type { Bus } from '../ports/bus.ts'\nexport type A = Bus\n", 'src/ports/bus.ts'],
  'ports-know-contract': ['src/ports/a.ts', "import '../core/events/journal.ts'\n", 'src/core/events/journal.ts'],
  'core-knows-ports': ['src/core/agents/a.ts', "import '../../client/client.ts'\n", 'src/client/client.ts'],
  'core-does-no-io': ['src/core/agents/b.ts', "import 'child_process'\n", 'child_process'],
  'core-does-no-npm': [
    'src/core/agents/c.ts',
    "import type { FastifyInstance } from 'fastify'\nexport type A = FastifyInstance\n",
    'fastify',
  ],
  'adapters-know-ports': ['src/adapters/buses/memory/a.ts', "import '../../../core/events/journal.ts'\n", 'src/core/events/journal.ts'],
  'adapters-are-strangers': ['src/adapters/buses/memory/b.ts', "import '../redis/bus.ts'\n", 'src/adapters/buses/redis/bus.ts'],
  'client-knows-contract': ['src/client/a.ts', "import '../core/events/journal.ts'\n", 'src/core/events/journal.ts'],
  'doors-know-core': ['src/doors/http/a.ts', "import '../../runner/inbox.ts'\n", 'src/runner/inbox.ts'],
  'doors-are-strangers': ['src/doors/http/b.ts', "import '../cli/regent.ts'\n", 'src/doors/cli/regent.ts'],
  'runner-knows-ports': ['src/runner/a.ts', "import '../core/events/journal.ts'\n", 'src/core/events/journal.ts'],
  'only-compose-wires': ['src/runner/b.ts', "import '../adapters/buses/memory/bus.ts'\n", 'src/adapters/buses/memory/bus.ts'],
  'web-knows-contract': ['web/src/a.ts', "import '../../src/client/client.ts'\n", 'src/client/client.ts'],
}

describe('the dependency rules', () => {
  const broken = Object.fromEntries(Object.values(breaches).map(([file, text]) => [file, text]))
  const trees = [
    plant({ ...packages, ...house }),
    plant({ ...packages, ...house, ...broken, 'src/kernel/b.ts': "import './a.ts'\n" }),
    plant({
      ...packages,
      ...house,
      '.dependency-cruiser.cjs': "module.exports = { forbidden: [], options: { exclude: '^src/core/', tsPreCompilationDeps: true } }\n",
    }),
  ] as const
  let clean: Outcome
  let breached: Outcome
  let blind: Outcome

  beforeAll(async () => {
    const outcomes = await Promise.all(trees.map((tree) => check(tree.root, '--only', 'layers')))
    ;[clean, breached, blind] = outcomes as [Outcome, Outcome, Outcome]
  })
  afterAll(() => {
    for (const tree of trees) tree.remove()
  })

  it('pass a house that keeps them', () => {
    expect(clean.output).toContain(`ok     layers (${Object.keys(house).length} modules)`)
    expect(clean.lines.at(-1)).toBe('1 passed, 0 failed')
    expect(clean.code).toBe(0)
  })

  it('have a planted breach each [I2-PRJ-06]', () => {
    const errors = config.forbidden.filter((rule) => rule.severity === 'error').map((rule) => rule.name)
    expect(Object.keys(breaches).sort()).toEqual(errors.sort())
    expect(breached.lines.at(-1)).toBe('0 passed, 1 failed')
    expect(breached.code).toBe(1)
  })

  it.each(Object.entries(breaches))('%s is reported when it is broken', (rule, [file, , to]) => {
    const found = breached.lines.filter((line) => line.startsWith(`${rule}: ${file} → `))
    expect(found).toEqual([expect.stringContaining(to)])
  })

  it('fail when the cruise did not see every module', () => {
    expect(blind.lines).toContain('not cruised: src/core/events/journal.ts')
    expect(blind.code).toBe(1)
  })
})
