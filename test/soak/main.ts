import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { carried } from './carried.ts'
import { soak } from './soak.ts'

// npm run soak -- --broker URL [--messages 100000] [--kills 5]: messages over a broker while Regent and the agent are killed.
// npm run soak -- --minutes N [--agents 100] [--seed S]: exits with 1 when an invariant did not hold.
const options = {
  minutes: { type: 'string', default: '1' },
  agents: { type: 'string', default: '100' },
  seed: { type: 'string' },
  broker: { type: 'string' },
  messages: { type: 'string', default: '100000' },
  kills: { type: 'string', default: '5' },
} as const
const { values } = parseArgs({ options })
if (values.broker !== undefined) process.exit(await overBroker(values.broker, Number(values.messages), Number(values.kills)))
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

async function overBroker(url: string, messages: number, kills: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'regent-soak-'))
  const begun = performance.now()
  const { violations, counts } = await carried({ url, messages, kills, folder, tell: (line) => console.log(line) })
  const seconds = (performance.now() - begun) / 1000
  console.log(`${JSON.stringify(counts)} in ${seconds.toFixed(0)} s`)
  for (const violation of violations) console.log(`VIOLATION: ${violation}`)
  if (violations.length > 0) console.log(`what Regent left is in ${folder}`)
  else rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  return violations.length === 0 ? 0 : 1
}
