import type { Bench, Lab } from './lib/bench.ts'
import { brokersHere } from './lib/brokers.ts'
import { missingFigure, type Round, rateFigure, timeFigure } from './lib/figures.ts'
import { flow } from './lib/flow.ts'
import { runProgram } from './lib/programs.ts'
import type { Figure } from './lib/result.ts'
import { median } from './lib/stats.ts'
import type { Carried, CarryJob } from './programs/carry.ts'

const ROUNDS = 3
const IN_FLIGHT = 128
const ALONE = 300
/** Of the client library's throughput, and ms that the adapter may add. */
const SHARE = 0.8
const ADDED_MS = 1

export const buses: Bench = {
  name: 'buses',
  about: `Each broker through Regent's adapter, beside its client library alone with the same guarantees: publishes that the broker
confirms, ${IN_FLIGHT} under way at once, a durable group, an acknowledgement for each message; then ${ALONE} messages one at a time, from
publishing to the handler. Goals: at least ${SHARE} of the library's throughput, less than ${ADDED_MS} ms added to the median. Adapter and library
take turns, ${ROUNDS} rounds each, in processes of their own. Last, the embedded bus whole: a program sends messages through the API to
a team agent with the offline model, 100 in a call, each is committed to its durable inbox, worked on, and its reply committed and
heard over SSE; the goal is 10,000 a second. Brokers: those of \`npm run services\`.`,
  n: 20_000,
  of: 'messages over each broker, and to the agent',
  async run(lab) {
    const figures: Figure[] = []
    for (const { name, url, missing } of await brokersHere()) {
      if (missing !== undefined) figures.push(missingFigure({ what: `${name} through the adapter`, of: 'ours' }, '/s', missing))
      else figures.push(...(await compare(lab, name, url)))
    }
    figures.push(await embedded(lab))
    return figures
  },
}

async function compare(lab: Lab, name: string, url: string): Promise<Figure[]> {
  const carried: Record<CarryJob['through'], Carried[]> = { bare: [], adapter: [] }
  for (let round = 0; round < ROUNDS; round++) {
    for (const through of ['bare', 'adapter'] as const) {
      lab.say(`${name}, ${through}, round ${round + 1} of ${ROUNDS}`)
      const job: CarryJob = { url, through, n: lab.n, inFlight: IN_FLIGHT, alone: ALONE }
      carried[through].push(await runProgram<Carried>(lab, 'carry.ts', { ...job }))
    }
  }
  const bare = rateFigure(
    { what: `${name}: client library`, of: 'limit' },
    carried.bare.map((one) => roundOf(one, lab.n)),
  )
  const alone = timeFigure(
    { what: `${name}: client library, one at a time`, of: 'limit' },
    carried.bare.flatMap(({ times }) => times),
  )
  const rate = { what: `${name}: adapter`, of: 'ours', goal: Math.round((bare.value ?? 0) * SHARE) } as const
  const time = {
    what: `${name}: adapter, one at a time`,
    of: 'ours',
    goal: Math.round(((alone.value ?? 0) + ADDED_MS) * 100) / 100,
  } as const
  return [
    rateFigure(
      rate,
      carried.adapter.map((one) => roundOf(one, lab.n)),
    ),
    bare,
    timeFigure(
      time,
      carried.adapter.flatMap(({ times }) => times),
    ),
    alone,
  ]
}

/** As many pieces as messages, each with its share of the time. */
const roundOf = ({ ms }: Carried, n: number): Round => ({ ms, times: Array.from({ length: n }, () => ms / n) })

async function embedded(lab: Lab): Promise<Figure> {
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) {
    lab.say(`embedded bus, round ${round + 1} of ${ROUNDS}`)
    rounds.push(await flow(lab, `flow-${round}`, lab.n))
  }
  lab.say(
    `embedded: ${rounds.map(({ ms }) => Math.round((lab.n / ms) * 1000)).join(', ')}; median ${median(rounds.map(({ ms }) => ms))} ms`,
  )
  return rateFigure({ what: 'regent: client to agent to reply, embedded bus', of: 'ours', goal: 10_000 }, rounds)
}
