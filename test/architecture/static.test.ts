// The static checks beside the dependency rules must find what they are there for: each breach is planted, and must be named.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check, type Outcome, plant } from './tree.ts'

const lines = (count: number, line: string) => `${line}\n`.repeat(count)
const longFunction = (name: string, length: number) => `export function ${name}() {\n${lines(length - 2, '  void 0')}}\n`
const suite = (length: number) => `describe('a', () => {\n${lines(length - 2, '  void 0')}})\n`
const home = ['', 'home', 'carla', 'x'].join('/')

const planted = plant({
  'knip.json': '{ "entry": ["src/main.ts"], "project": ["src/**/*.ts"] }\n',
  'package.json': '{ "name": "planted", "type": "module", "dependencies": { "zod": "*" }, "devDependencies": { "vitest": "*" } }\n',
  'src/main.ts': "import { used } from './used.ts'\n\nused(process.env)\n",
  'src/used.ts': 'export const used = (value: unknown) => value\nexport const dead = 1\n',
  'src/stray.ts': 'export const stray = 1\n',
  'src/long.ts': lines(401, '// x'),
  'src/limit.ts': lines(400, '// x'),
  'src/function.ts': `${longFunction('fits', 60)}\n${longFunction('bursts', 61)}`,
  'src/method.ts': `export class A {\n  run = () => {\n${lines(60, '    void 0')}  }\n}\n`,
  'web/view.tsx': `export const View = () => {\n${lines(60, '  void 0')}  return <p />\n}\n`,
  'scripts/tool.mjs': longFunction('tool', 61),
  'test/suite.ts': `${suite(190)}export function conformance() {\n  describeWith('redis', 'b', () => {\n${lines(190, '    void 0')}  })\n}\n`,
  'test/case.ts': `describe('a', () => {\n  it('b', () => {\n${lines(60, '    void 0')}  })\n})\n`,
  'test/swollen.ts': `export function swollen() {\n${suite(70)}${lines(60, '  void 0')}}\n`,
  'src/config/load.ts': 'export const load = () => process.env\n',
  'src/runner/compose.ts': 'export const home = process.env.HOME\n',
  'src/core/a.ts': "export const a = process.env['A']\n",
  'src/core/b.ts': "import { env } from 'node:process'\nexport const b = env\n",
  'src/core/c.ts': "import host from 'node:process'\nexport const c = host.env.C\n",
  'src/core/d.ts': 'const { env } = process\nexport const d = [env, globalThis.process.env]\n',
  'src/core/fine.ts': "// process.env\nexport const fine = (spec: { env: string }) => [spec.env, 'process.env']\n",
  'src/core/wrong.ts': "export const wrong: number = 'one'\n",
  'src/core/ugly.ts': 'export const   ugly = 1;\n',
  'docs/paths.md': `fine: /app/agents/alice/x, ~/.local, /home/alice/x, https://example.org/work/x\nnot: ${home}\n`,
  'package-lock.json': `{
  "packages": {
    "": { "dependencies": { "zod": "1.0.0" }, "devDependencies": { "vitest": "*" } },
    "node_modules/zod": { "optionalDependencies": { "zod-linux": "1", "zod-darwin": "1" } },
    "node_modules/zod-linux": { "resolved": "https://packages.example.org/b" }
  }
}
`,
})

describe('the static checks', () => {
  let found: Outcome
  let clean: Outcome
  const tidy = plant({
    'src/main.ts': "console.log('a')\n",
    'package.json': '{ "name": "tidy", "type": "module" }\n',
    'package-lock.json': '{ "packages": { "": { "name": "tidy" } } }\n',
    'knip.json': '{ "entry": ["src/main.ts"], "project": ["src/**/*.ts"] }\n',
  })

  beforeAll(async () => {
    const all = 'lint,types,sizes,unused,environment,paths,lock'
    ;[found, clean] = await Promise.all([check(planted.root, '--only', all), check(tidy.root, '--only', all)])
  })
  afterAll(() => {
    planted.remove()
    tidy.remove()
  })

  it('pass a tree without breaches', () => {
    expect(clean.output).toContain('7 passed, 0 failed')
    expect(clean.code).toBe(0)
  })

  it('go on after a failure, remember each, and count them on the last line', () => {
    expect(found.lines.at(-1)).toBe('0 passed, 7 failed')
    expect(found.code).toBe(1)
  })

  it('sizes names each file over 400 and each function over 60 lines, and nothing else [I2-PRJ-06]', () => {
    expect(found.lines.filter((line) => line.includes('the cap is'))).toEqual([
      'scripts/tool.mjs:1: tool has 61 lines, the cap is 60',
      'src/function.ts:62: bursts has 61 lines, the cap is 60',
      'src/long.ts: 401 lines, the cap is 400',
      'src/method.ts:2: run has 62 lines, the cap is 60',
      'test/case.ts:2: a function has 62 lines, the cap is 60',
      'test/swollen.ts:1: swollen has 62 lines, the cap is 60',
      'web/view.tsx:1: View has 63 lines, the cap is 60',
    ])
  })

  it('environment names each way to read it outside its places', () => {
    const reads = found.lines.filter((line) => line.includes('reads the environment')).map((line) => line.split(': ')[0])
    expect(reads).toEqual(['src/core/a.ts:1', 'src/core/b.ts:1', 'src/core/c.ts:2', 'src/core/d.ts:1', 'src/core/d.ts:2'])
  })

  it('paths names each place of one machine', () => {
    const places = found.lines.filter((line) => line.includes('names a place')).map((line) => line.split(': ')[0])
    expect(places).toEqual(['docs/paths.md:2', 'package-lock.json:5'])
  })

  it('unused names dead files, exports and dependencies', () => {
    expect(found.output).toMatch(/Unused files[\s\S]*src\/stray\.ts/)
    expect(found.output).toMatch(/Unused exports[\s\S]*dead .*src\/used\.ts/)
    expect(found.output).toMatch(/Unused dependencies[\s\S]*zod/)
  })

  it('lock names what npm ci would refuse', () => {
    const refused = found.lines.filter((line) => line.includes('the lock file')).map((line) => line.split(': ')[0])
    expect(refused).toEqual(['zod is * in package.json and 1.0.0 in the lock file', 'zod-darwin is not in the lock file'])
  })

  it('types and lint name the file', () => {
    expect(found.output).toMatch(/src\/core\/wrong\.ts.*TS2322/)
    expect(found.output).toMatch(/src\/core\/ugly\.ts format/)
  })
})
