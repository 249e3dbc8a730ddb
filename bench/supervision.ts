import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Bench, Lab } from './lib/bench.ts'
import { missingFigure, timeFigure } from './lib/figures.ts'
import { killOne } from './lib/kills.ts'
import { sendLoad } from './lib/load.ts'
import { startPm2 } from './lib/pm2.ts'
import { cpuSecondsOf, memoryOf, processesOf, sumOf } from './lib/processes.ts'
import { runProgram } from './lib/programs.ts'
import { addSleepers, type Regent, serveIn, startRegent } from './lib/regent.ts'
import type { Figure } from './lib/result.ts'
import { rounded } from './lib/stats.ts'
import { startSupervisor } from './lib/supervisor.ts'
import { until } from './lib/until.ts'
import { callSupervisor } from './lib/xml-rpc.ts'

const KILLS = 40
const IDLE_MS = 20_000

export const supervision: Bench = {
  name: 'supervision',
  about: `Beside pm2 (its own library, to a daemon that runs) and supervisord (XML-RPC on its socket), one after the other in one run.
**start**: from the first request until the last of the sleeping programs is said to run, with \`startsecs\` 0: each of Regent's starts is
a durable intent, a run on record, a wrapper and two pipes to the log pump. **killed child back**: from \`kill -9\` until the program's next life wrote its
line, ${KILLS} programs, ten kills a second. **memory** is that of the daemon; proportional, of all processes beside the programs. **idle processor**
is that of daemon and helpers over ${IDLE_MS / 1000} s, as long after the starts, of one core. **re-adopted** is from the start of the process after \`kill -9\` to
\`regent ready\`, all taken up with their pids.`,
  n: 500,
  of: 'agents, and twice as many to re-adopt',
  async run(lab) {
    return [...(await startAndKeep(lab)), ...(await killedBack(lab)), ...(await thousand(lab))]
  },
}

interface Kept {
  readonly startMs: number
  /** The daemon, then what helps it. */
  readonly pids: readonly number[]
}

async function startAndKeep(lab: Lab): Promise<Figure[]> {
  const supervisor = await keptBySupervisor(lab)
  const pm2 = await keptByPm2(lab)
  const regent = await keptByRegent(lab)
  const time = (kept: Kept | string, most: number): number | undefined => (typeof kept === 'string' ? undefined : kept.startMs * most)
  const goals = [time(supervisor.kept, 1.2), time(pm2.kept, 0.7)].filter((goal) => goal !== undefined)
  const goal = goals.length > 0 ? { goal: rounded(Math.min(...goals)) } : {}
  const figures: Figure[] = [
    startFigure('regent', 'ours', lab.n, regent.kept, goal),
    startFigure('supervisord', 'peer', lab.n, supervisor.kept),
    startFigure('pm2', 'peer', lab.n, pm2.kept),
    sized('regent', 'ours', lab.n, regent.memory, typeof pm2.memory === 'string' ? {} : { goal: rounded(pm2.memory.resident) }),
    sized('supervisord', 'peer', lab.n, supervisor.memory),
    sized('pm2', 'peer', lab.n, pm2.memory),
    { what: `regent: idle processor, ${lab.n} agents`, of: 'ours', unit: '%', value: rounded(regent.percent), goal: 1 },
  ]
  return figures
}

interface Measured {
  readonly kept: Kept | string
  readonly memory: { readonly resident: number; readonly proportional: number } | string
}

const startFigure = (who: string, of: Figure['of'], n: number, kept: Kept | string, more: { goal?: number } = {}): Figure =>
  typeof kept === 'string'
    ? missingFigure({ what: `${who}: start ${n}`, of }, 'ms', kept)
    : { what: `${who}: start ${n}`, of, unit: 'ms', value: rounded(kept.startMs), ...more }

function sized(who: string, of: Figure['of'], n: number, memory: Measured['memory'], more: { goal?: number } = {}): Figure {
  const what = `${who}: memory, ${n} running`
  if (typeof memory === 'string') return missingFigure({ what, of }, 'MiB', memory)
  return { what, of, unit: 'MiB', value: rounded(memory.resident), proportional: rounded(memory.proportional), ...more }
}

/** The daemon's own, and all of them counting what they share once. */
function memoryNow({ pids: [daemon = 0, ...helpers] }: Kept): { resident: number; proportional: number } {
  const own = memoryOf(daemon)
  return { resident: own.resident, proportional: sumOf([own, ...helpers.map(memoryOf)]).proportional }
}

async function keptByRegent(lab: Lab): Promise<Measured & { kept: Kept; percent: number }> {
  lab.say(`Regent starts ${lab.n}`)
  const regent = await startRegent(lab, 'start-many')
  await addSleepers(regent, lab.n, false)
  const startMs = await startAll(lab, regent, lab.n)
  // Asked before the pause: who asks is not idle.
  const kept = { startMs, pids: await oursBeside(regent) }
  await pause(IDLE_MS, undefined, { signal: lab.signal })
  const memory = memoryNow(kept)
  const percent = await idlePercent(lab, kept.pids)
  await stopAll(regent)
  return { kept, memory, percent }
}

/** All of them at once, over 20 connections; ms until the last answered that it runs. */
async function startAll(lab: Lab, regent: Regent, count: number): Promise<number> {
  const job = {
    method: 'POST',
    path: '/api/v1/agents/sleeper-{n}/start',
    body: '{"wait":true}',
    connections: 20,
    requests: count,
    expected: 200,
  }
  return (await sendLoad(lab, { ...job, url: regent.url, token: regent.token })).ms
}

async function stopAll(regent: Regent): Promise<number> {
  const from = performance.now()
  await regent.caller.call('POST', '/api/v1/agents/stop', { wait: true })
  return performance.now() - from
}

async function agentPids(regent: Regent): Promise<number[]> {
  const pids: number[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const path = `/api/v1/agents?limit=500${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const body = (await regent.caller.call('GET', path)).body as unknown as {
      agents: { pid: number | null; state: string }[]
      next_cursor: string | null
    }
    for (const { pid, state } of body.agents) if (pid !== null && state === 'RUNNING') pids.push(pid)
    cursor = body.next_cursor
  }
  return pids
}

/** Regent, then its wrappers, pump and whatever else is not an agent. */
async function oursBeside(regent: Regent): Promise<number[]> {
  const agents = new Set(await agentPids(regent))
  if (agents.size === 0) throw new Error('no agent runs')
  return [regent.pid, ...processesOf(regent.project).filter((pid) => pid !== regent.pid && !agents.has(pid))]
}

async function idlePercent(lab: Lab, pids: readonly number[]): Promise<number> {
  lab.say(`left alone for ${IDLE_MS / 1000} s`)
  const before = pids.map(cpuSecondsOf).reduce((sum, seconds) => sum + seconds, 0)
  await pause(IDLE_MS, undefined, { signal: lab.signal })
  const after = pids.map(cpuSecondsOf).reduce((sum, seconds) => sum + seconds, 0)
  return ((after - before) / (IDLE_MS / 1000)) * 100
}

async function keptBySupervisor(lab: Lab): Promise<Measured> {
  lab.say(`supervisord starts ${lab.n}`)
  const supervisor = await startSupervisor(lab, lab.n, { autostart: false, name: 'supervisor-many' })
  if (typeof supervisor === 'string') return { kept: supervisor, memory: supervisor }
  const from = performance.now()
  await callSupervisor(supervisor.socket, 'supervisor.startAllProcesses', true)
  const kept = { startMs: performance.now() - from, pids: [supervisor.pid] }
  const memory = memoryNow(kept)
  await callSupervisor(supervisor.socket, 'supervisor.stopAllProcesses', true)
  return { kept, memory }
}

async function keptByPm2(lab: Lab): Promise<Measured> {
  lab.say(`pm2 starts ${lab.n}`)
  const pm2 = await startPm2(lab, lab.n, { autostart: false, name: 'pm2-many' })
  if (typeof pm2 === 'string') return { kept: pm2, memory: pm2 }
  const startMs = await runProgram<number>(lab, 'pm2-start.ts', { module: pm2.module, file: pm2.file }, { env: pm2.env })
  const kept = { startMs, pids: [pm2.pid] }
  return { kept, memory: memoryNow(kept) }
}

async function killedBack(lab: Lab): Promise<Figure[]> {
  const traced = (folder: string): string[] => ['-c', `echo $$ >> ${join(folder, 'lives')}; exec sleep 100000`]
  const what = (who: string): string => `${who}: killed child back`
  const places = { regent: lab.folder('kill-regent'), supervisor: lab.folder('kill-supervisor'), pm2: lab.folder('kill-pm2') }
  lab.say('children are killed')
  const command = `/bin/sh -c "echo $$ >> ${join(places.supervisor, 'lives')}; exec sleep 100000"`
  const supervisor = await startSupervisor(lab, KILLS / 4, { command, name: 'supervisor-killed' })
  const bySupervisor = typeof supervisor === 'string' ? supervisor : await killAll(lab, places.supervisor, KILLS / 4)
  const pm2 = await startPm2(lab, KILLS, { program: '/bin/sh', args: traced(places.pm2), name: 'pm2-killed' })
  const byPm2 = typeof pm2 === 'string' ? pm2 : await killAll(lab, places.pm2, KILLS)
  const regent = await startRegent(lab, 'killed')
  for (let at = 0; at < KILLS; at++) {
    const agent = {
      kind: 'command',
      name: `k-${at}`,
      command: ['/bin/sh', ...traced(places.regent)],
      policy: { startsecs: 0, restart: 'always' },
    }
    await regent.caller.call('POST', '/api/v1/agents', { agent, start: true })
  }
  const byRegent = await killAll(lab, places.regent, KILLS)
  const pm2Figure =
    typeof byPm2 === 'string'
      ? missingFigure({ what: what('pm2'), of: 'peer' }, 'ms', byPm2)
      : timeFigure({ what: what('pm2'), of: 'peer' }, byPm2)
  const goal = pm2Figure.value === null ? {} : { goal: rounded(pm2Figure.value * 0.7) }
  return [
    timeFigure({ what: what('regent'), of: 'ours', ...goal }, byRegent),
    pm2Figure,
    typeof bySupervisor === 'string'
      ? missingFigure({ what: what('supervisord'), of: 'peer' }, 'ms', bySupervisor)
      : timeFigure({ what: what('supervisord'), of: 'peer' }, bySupervisor),
  ]
}

/** Kills each of `count` programs once, ten a second. */
async function killAll(lab: Lab, folder: string, count: number): Promise<number[]> {
  const lives = join(folder, 'lives')
  const times: number[] = []
  for (let at = 0; at < count; at++) {
    times.push(await killOne(lives, count, at))
    await pause(100, undefined, { signal: lab.signal })
  }
  return times
}

async function thousand(lab: Lab): Promise<Figure[]> {
  const most = lab.n * 2
  lab.say(`Regent starts ${most}`)
  const regent = await startRegent(lab, 'thousand')
  await addSleepers(regent, most, false)
  const stop = join(lab.folder('thousand-watch'), 'stop')
  const watched = runProgram<number[]>(lab, 'watch-api.ts', {
    url: regent.url,
    token: regent.token,
    path: '/api/v1/agents/sleeper-0',
    until: stop,
    everyMs: 5,
  })
  const startMs = await startAll(lab, regent, most)
  writeFileSync(stop, '')
  const reads = await watched
  const before = await agentPids(regent)
  if (before.length !== most) throw new Error(`${before.length} of ${most} run`)
  lab.say('Regent is killed and started again')
  process.kill(regent.pid, 'SIGKILL')
  const from = performance.now()
  const again = await serveIn(lab, regent.project)
  const readyMs = performance.now() - from
  const after = new Set(
    await until(async () => {
      const pids = await agentPids(again)
      return pids.length === most ? pids : undefined
    }, 'all of them RUNNING'),
  )
  if (before.some((pid) => !after.has(pid))) throw new Error('an agent was lost')
  const stopMs = await stopAll(again)
  const apiFigure = timeFigure({ what: `regent: an API read while ${most} start`, of: 'ours' }, reads)
  return [
    { what: `regent: start ${most}`, of: 'ours', unit: 'ms', value: rounded(startMs) },
    apiFigure,
    { what: `regent: an API read while ${most} start, p99`, of: 'ours', unit: 'ms', value: apiFigure.times?.p99 ?? null, goal: 100 },
    { what: `regent: ${most} re-adopted after kill -9`, of: 'ours', unit: 'ms', value: rounded(readyMs), goal: 1000 },
    { what: `regent: stop ${most}`, of: 'ours', unit: 'ms', value: rounded(stopMs), goal: 15_000 },
  ]
}
