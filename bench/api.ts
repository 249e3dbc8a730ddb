import type { Bench, Lab } from './lib/bench.ts'
import { type Round, rateFigure } from './lib/figures.ts'
import { type LoadJob, sendLoad } from './lib/load.ts'
import { runProgram, startProgram } from './lib/programs.ts'
import { addSleepers, flagsOf, type Regent, startRegent } from './lib/regent.ts'
import type { Figure } from './lib/result.ts'

const ROUNDS = 3
const READERS = 20
const CREATORS = 50

export const api: Bench = {
  name: 'api',
  about: `Requests to the native API per second, with the admin's token, from a load generator in a process of its own on the same
machine. Reads come over ${READERS} kept connections: one agent by its id, and a list of 20. Beside them stands a bare fastify server that
answers \`{"hello":"world"}\`, under the flags that Regent runs with. Creates come over ${CREATORS} connections, each answered after the
transaction is on the disk (\`synchronous=FULL\`); beside them single rows that node:sqlite commits in the same way, one after the other.
Each is measured in ${ROUNDS} rounds, taken in turns: the figure is the median round, the times are those of all requests.`,
  n: 20_000,
  of: 'requests a round; a quarter as many creates and commits',
  async run(lab) {
    const regent = await startRegent(lab)
    const reads = await measureReads(lab, regent)
    return [...reads, ...(await measureCreates(lab, regent))]
  },
}

async function measureReads(lab: Lab, regent: Regent): Promise<Figure[]> {
  const agents = await addSleepers(regent, 20, false)
  const hello = await startProgram<string>(lab, 'hello.mjs', {}, { flags: flagsOf(regent) })
  const to = (url: string, path: string): LoadJob => ({ url, path, ...asAdmin(regent), ...reading, requests: lab.n })
  const rounds = await inTurns(lab, {
    one: () => sendLoad(lab, to(regent.url, `/api/v1/agents/${agents[0]?.id}`)),
    list: () => sendLoad(lab, to(regent.url, '/api/v1/agents?limit=20')),
    bare: () => sendLoad(lab, to(hello.answer, '/hello')),
  })
  await hello.end()
  return [
    rateFigure({ what: 'regent: read one agent', of: 'ours', goal: 5000 }, rounds.one),
    rateFigure({ what: 'regent: list of 20 agents', of: 'ours' }, rounds.list),
    rateFigure({ what: 'bare fastify: hello', of: 'limit' }, rounds.bare),
  ]
}

const asAdmin = ({ token }: Regent) => ({ token })
const reading = { method: 'GET', connections: READERS, expected: 200 } as const

async function measureCreates(lab: Lab, regent: Regent): Promise<Figure[]> {
  const requests = Math.max(CREATORS, Math.round(lab.n / 4))
  const folder = lab.folder('commits')
  let round = 0
  const create = (): Promise<Round> => {
    const agent = { kind: 'command', name: `round-${++round}-{n}`, command: ['sleep', '1000'] }
    const job = { method: 'POST', path: '/api/v1/agents', body: JSON.stringify({ agent }), connections: CREATORS, requests, expected: 201 }
    return sendLoad(lab, { url: regent.url, ...asAdmin(regent), ...job })
  }
  const rounds = await inTurns(lab, { create, commit: () => runProgram<Round>(lab, 'commits.ts', { folder, rows: requests }) })
  return [
    rateFigure({ what: 'regent: durable create', of: 'ours', goal: 1500 }, rounds.create),
    rateFigure({ what: 'bare node:sqlite: durable row', of: 'limit' }, rounds.commit),
  ]
}

/** Every work in turn, and that several times; a first turn warms up and is not counted. */
async function inTurns<Name extends string>(lab: Lab, works: Record<Name, () => Promise<Round>>): Promise<Record<Name, Round[]>> {
  const names = Object.keys(works) as Name[]
  const rounds = Object.fromEntries(names.map((name) => [name, [] as Round[]])) as Record<Name, Round[]>
  for (let turn = 0; turn <= ROUNDS; turn++) {
    for (const name of names) {
      const round = await works[name]()
      if (turn > 0) rounds[name].push(round)
      lab.say(`${name}, ${turn === 0 ? 'warming up' : `round ${turn}`}: ${Math.round((round.times.length / round.ms) * 1000)}/s`)
    }
  }
  return rounds
}
