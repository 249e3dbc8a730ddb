// The run of the tests itself: what must make it fail, and what it says at its end.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { check, type Outcome, plant, script } from './tree.ts'

const head = "import { spawn } from 'node:child_process'\nimport { describe, expect, it } from 'vitest'\n"
const good = "it('adds', () => { expect(1 + 1).toBe(2) })\n"
const files = (...bodies: string[]) => Object.fromEntries(bodies.map((body, index) => [`test/${index + 1}.test.ts`, head + body]))

/** Each tree, the arguments it is checked with, and what becomes of it. */
const trees = {
  good: plant(files(good, "it('waits', { skip: true, meta: { skipReason: 'no redis here' } }, () => {})\n")),
  empty: plant({ 'src/main.ts': '' }),
  bad: plant(
    files(
      good,
      "it('subtracts', () => { expect(1 - 1).toBe(1) })\nit('asserts nothing', () => {})\n",
      "throw new Error('broken file')\n",
      "it.skip('says nothing', () => {})\n",
      "it('leaves a child', () => { expect(spawn('sleep', ['600'], { detached: true, stdio: 'ignore' }).pid).toBeGreaterThan(0) })\n",
    ),
  ),
  hung: plant(files(good, 'for (;;);\n')),
  stray: plant(
    files(
      good,
      `it('waits', async () => { await new Promise((resolve) => setTimeout(resolve, 50)); expect(1).toBe(1) })\nsetTimeout(() => { throw new Error('from nowhere') }, 0)\n`,
    ),
  ),
  lonely: plant(files(`${good}it.only('alone', () => { expect(1).toBe(1) })\n`)),
}

const run = (root: string) => script('scripts/check.mjs', ['--root', root, '--only', 'tests'], { REGENT_TEST_SILENCE_MS: '4000' })

describe('the run of the tests', () => {
  const outcomes = new Map<keyof typeof trees, Outcome>()
  const last = (name: keyof typeof trees) => outcomes.get(name)?.lines.at(-1)

  beforeAll(async () => {
    for (const [name, tree] of Object.entries(trees)) outcomes.set(name as keyof typeof trees, await run(tree.root))
  })
  afterAll(() => {
    for (const tree of Object.values(trees)) tree.remove()
  })

  it('counts passed, failed and skipped on the last line, and gives the reason of each skip [I2-PRJ-02]', () => {
    expect(last('good')).toBe('1 passed, 0 failed, 1 skipped')
    expect(outcomes.get('good')?.output).toContain('test/2.test.ts: waits: no redis here')
    expect(outcomes.get('good')?.code).toBe(0)
  })

  it('fails when no test ran', () => {
    expect(outcomes.get('empty')?.output).toContain('no test ran')
    expect(last('empty')).toBe('0 passed, 1 failed')
    expect(outcomes.get('empty')?.code).toBe(1)
  })

  it('counts failed tests, tests without assertions, broken files, skips without a reason, and children left behind', () => {
    const output = outcomes.get('bad')?.output
    expect(output).toContain('test/3.test.ts did not run to its end: broken file')
    expect(output).toContain('skipped without a reason: test/4.test.ts: says nothing')
    expect(output).toMatch(/left running by a test: pid \d+ sleep 600/)
    expect(last('bad')).toBe('2 passed, 5 failed, 1 skipped')
    expect(outcomes.get('bad')?.code).toBe(1)
  })

  it('ends a file that never yields, and names it', () => {
    expect(outcomes.get('hung')?.output).toContain('test/2.test.ts gave no sign of life for 4 s')
    expect(outcomes.get('hung')?.code).toBe(1)
  })

  it('fails on an error outside of tests', () => {
    expect(outcomes.get('stray')?.output).toContain('outside of tests: from nowhere')
    expect(last('stray')).toBe('2 passed, 1 failed')
  })

  it('fails on a test that runs alone', () => {
    expect(outcomes.get('lonely')?.code).toBe(1)
  })

  it('refuses a check that it does not know', async () => {
    const outcome = await check(trees.good.root, '--only', 'lint,typos')
    expect(outcome.output).toContain('there is no check named typos')
    expect(outcome.code).toBe(2)
  })
})
