import { setTimeout as pause } from 'node:timers/promises'
import type { AgentView } from '../src/contract/agents.ts'
import type { Bench, Lab } from './lib/bench.ts'
import { sizeFigure } from './lib/figures.ts'
import { sendLoad } from './lib/load.ts'
import { type Memory, meanOf, memoryOf, processesOf, sumOf } from './lib/processes.ts'
import { startProgram } from './lib/programs.ts'
import { addSleepers, flagsOf, type Regent, startRegent } from './lib/regent.ts'
import type { Figure } from './lib/result.ts'
import { addTeam } from './lib/team.ts'

const IDLE_MS = 5000
const AGENTS = 10
const TEAMS = 3

export const memory: Bench = {
  name: 'memory',
  about: `Resident memory (VmRSS) of Regent ${IDLE_MS / 1000} s after it was ready, with no agents, with ${AGENTS} running, and after many
reads over 20 connections; the launcher has filled the compile cache, as it does at every start. Beside it a bare fastify server, under the flags that Regent runs with and under Node's own. Then what an agent
costs: the wrapper that stands beside each, with a tenth of the shell that forks them and of the one log pump, and the runner of a team agent (the mean of ${TEAMS}). Counting shared pages once
(Pss), many such processes cost less than the sum of their resident sizes.`,
  n: 10_000,
  of: 'requests',
  async run(lab) {
    const regents = await measureRegent(lab)
    const bare = [...(await measureBare(lab, regents.flags, "Regent's flags")), ...(await measureBare(lab, [], "Node's own flags"))]
    return [...regents.figures, ...bare, await measureTeams(lab)]
  },
}

async function measureRegent(lab: Lab): Promise<{ flags: string[]; figures: Figure[] }> {
  const regent = await startRegent(lab)
  await idle(lab, 'Regent without agents')
  const empty = memoryOf(regent.pid)
  const agents = await addSleepers(regent, AGENTS, true)
  await idle(lab, `Regent with ${AGENTS} agents`)
  const busy = memoryOf(regent.pid)
  const helpers = await helpersOf(regent)
  await sendLoad(lab, { ...reading(lab), url: regent.url, token: regent.token, path: `/api/v1/agents/${agents[0]?.id}` })
  const loaded = memoryOf(regent.pid)
  return {
    flags: flagsOf(regent),
    figures: [
      sizeFigure({ what: 'regent: idle, no agents', of: 'ours', goal: 110 }, empty),
      sizeFigure({ what: `regent: idle, ${AGENTS} agents`, of: 'ours', goal: 110 }, busy),
      sizeFigure({ what: `regent: after ${lab.n.toLocaleString('en')} requests`, of: 'ours' }, loaded),
      sizeFigure({ what: `wrapper, and its share of spawner and log pump, of ${AGENTS} agents`, of: 'ours' }, helpers),
    ],
  }
}

const reading = (lab: Lab) => ({ method: 'GET', connections: 20, requests: lab.n, expected: 200 }) as const

/** What stands beside each running agent, on average: its wrapper, and its share of the shell that forks them and of the log pump. */
async function helpersOf(regent: Regent): Promise<Memory> {
  const { agents } = (await regent.caller.call('GET', '/api/v1/agents')).body as unknown as { agents: AgentView[] }
  const others = [regent.pid, ...agents.map(({ pid }) => pid)]
  const all = sumOf(
    processesOf(regent.project)
      .filter((pid) => !others.includes(pid))
      .map(memoryOf),
  )
  return { resident: all.resident / agents.length, proportional: all.proportional / agents.length }
}

async function measureBare(lab: Lab, flags: readonly string[], which: string): Promise<Figure[]> {
  const hello = await startProgram<string>(lab, 'hello.mjs', {}, { flags })
  await idle(lab, `bare fastify, ${which}`)
  const before = memoryOf(hello.pid)
  await sendLoad(lab, { ...reading(lab), url: hello.answer, path: '/hello' })
  const after = memoryOf(hello.pid)
  await hello.end()
  return [
    sizeFigure({ what: `bare fastify, ${which}: idle`, of: 'limit' }, before),
    sizeFigure({ what: `bare fastify, ${which}: after ${lab.n.toLocaleString('en')} requests`, of: 'limit' }, after),
  ]
}

async function measureTeams(lab: Lab): Promise<Figure> {
  const regent = await startRegent(lab, 'teams')
  const pids: number[] = []
  for (let at = 0; at < TEAMS; at++) pids.push((await addTeam(regent, `team-${at}`)).pid ?? 0)
  await idle(lab, `${TEAMS} teams`)
  return sizeFigure({ what: 'runner of a team agent: idle', of: 'ours' }, meanOf(pids.map(memoryOf)))
}

async function idle(lab: Lab, what: string): Promise<void> {
  lab.say(`${what}: left alone for ${IDLE_MS / 1000} s`)
  await pause(IDLE_MS, undefined, { signal: lab.signal })
}
