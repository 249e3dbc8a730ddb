import { expect, it } from 'vitest'
import { soak } from '../soak/soak.ts'

const seed = Number(process.env.REGENT_SOAK_SEED ?? Date.now() % 2 ** 31)

it(`[I3-SOAK-01] a minute of random harm breaks no invariant (seed ${seed})`, async () => {
  const { violations, counts } = await soak({ seconds: 60, agents: 30, seed, tell: (line) => console.error(line) })
  expect(violations).toEqual([])
  expect(counts['kill Regent']).toBeGreaterThan(0)
}, 240_000)
