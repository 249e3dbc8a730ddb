import { expect, it } from 'vitest'
import { temporaryFolder } from '../helpers/folder.ts'
import { describeWith } from '../helpers/services.ts'
import { carried } from '../soak/carried.ts'
import { soak } from '../soak/soak.ts'

const seed = Number(process.env.REGENT_SOAK_SEED ?? Date.now() % 2 ** 31)

it(`[I3-SOAK-01] a minute of random harm breaks no invariant (seed ${seed})`, async () => {
  const { violations, counts } = await soak({ seconds: 60, agents: 30, seed, tell: (line) => console.error(line) })
  expect(violations).toEqual([])
  expect(counts['kill Regent']).toBeGreaterThan(0)
}, 240_000)

// `npm run soak -- --broker URL` does the same with 100,000 messages and five kills of each.
for (const [service, which] of [
  ['redis', 'url'],
  ['kafka', 'url'],
  ['rabbitmq', 'url'],
  ['rabbitmq', 'stomp'],
  ['activemq', 'url'],
] as const) {
  describeWith(service, `messages over ${service}, ${which}`, (urls) => {
    it('[I4-CH-06] are all answered, repeated ones under the same id, while Regent and the agent are killed', {
      timeout: 240_000,
    }, async () => {
      const url = (urls as Readonly<Record<string, string>>)[which] ?? ''
      const options = { url, messages: 2000, kills: 2, folder: temporaryFolder(), tell: () => {} }
      const { violations, counts } = await carried(options)
      expect(violations).toEqual([])
      expect(counts.answers).toBe(2000)
    })
  })
}
