import { parseArgs } from 'node:util'
import { soak } from './soak.ts'

// npm run soak -- --minutes N [--agents 100] [--seed S]: exits with 1 when an invariant did not hold.
const options = { minutes: { type: 'string', default: '1' }, agents: { type: 'string', default: '100' }, seed: { type: 'string' } } as const
const { values } = parseArgs({ options })
const [minutes, agents] = [Number(values.minutes), Number(values.agents)]
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed)

if (!(minutes > 0) || !Number.isInteger(agents) || agents < 7 || agents > 500 || !Number.isInteger(seed)) {
  console.error('usage: npm run soak -- --minutes N [--agents 7..500] [--seed INTEGER]')
  process.exit(2)
}
console.log(`soak: ${minutes} min, ${agents} agents, seed ${seed}`)
const { violations, counts, folder } = await soak({ seconds: Math.round(minutes * 60), agents, seed, tell: (line) => console.log(line) })
for (const [what, count] of Object.entries(counts)) console.log(`${what.padEnd(30)}${count}`)
console.log(
  violations.length === 0
    ? 'every invariant held'
    : `${violations.length} violations; again with: npm run soak -- --minutes ${minutes} --agents ${agents} --seed ${seed}\nwhat Regent left is in ${folder}`,
)
process.exit(violations.length === 0 ? 0 : 1)
