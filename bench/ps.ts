import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Bench, Lab } from './lib/bench.ts'
import type { Call } from './lib/call.ts'
import { missingFigure, timeFigure } from './lib/figures.ts'
import { startPm2 } from './lib/pm2.ts'
import { addSleepers, launcher, startRegent } from './lib/regent.ts'
import type { Figure } from './lib/result.ts'
import { startSupervisor } from './lib/supervisor.ts'

const AGENTS = 10

export const ps: Bench = {
  name: 'ps',
  about: `\`regent ps\` as typed into a shell, from its start to its end, with ${AGENTS} agents running. Beside it \`supervisorctl status\`
and \`pm2 ls\` with as many programs, and \`node -e 0\`: the same Node, doing nothing. One after the other, in turns.`,
  n: 30,
  of: 'calls of each',
  async run(lab) {
    const commands = await prepare(lab)
    const times = new Map(commands.map((command) => [command.what, [] as number[]]))
    for (let round = 0; round < lab.n + WARM_UP; round++) {
      for (const command of commands) {
        if (typeof command.ready === 'string') continue
        const took = await timed(command.ready)
        if (round >= WARM_UP) times.get(command.what)?.push(took)
      }
    }
    return commands.map((command): Figure => {
      const kind = { what: command.what, of: command.of, ...(command.goal !== undefined && { goal: command.goal }) }
      return typeof command.ready === 'string' ? missingFigure(kind, 'ms', command.ready) : timeFigure(kind, times.get(command.what) ?? [])
    })
  },
}

const WARM_UP = 2

interface Command extends Pick<Figure, 'what' | 'of'> {
  readonly goal?: number
  /** What to call, or why it cannot be. */
  readonly ready: Call | string
}

async function prepare(lab: Lab): Promise<Command[]> {
  const regent = await startRegent(lab)
  await addSleepers(regent, AGENTS, true)
  const supervisor = await startSupervisor(lab, AGENTS)
  const pm2 = await startPm2(lab, AGENTS)
  const nothing: Call = { words: [process.execPath, '-e', '0'], env: {} }
  const ours: Call = { words: [launcher, 'ps'], env: regent.env, shows: { text: 'RUNNING', times: AGENTS } }
  return [
    { what: 'regent ps', of: 'ours', goal: 110, ready: ours },
    { what: 'supervisorctl status', of: 'peer', ready: supervisor },
    { what: 'pm2 ls', of: 'peer', ready: pm2 },
    { what: 'node -e 0', of: 'limit', ready: nothing },
  ]
}

/** ms from before the process is made until it has ended and its output was read. */
async function timed({ words: [program, ...args], env, shows }: Call): Promise<number> {
  const from = performance.now()
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  child.stderr.on('data', (data) => {
    output += data
  })
  const [code] = await once(child, 'close')
  const took = performance.now() - from
  const seen = shows ? output.split(shows.text).length - 1 : 0
  if (code !== 0 || (shows && seen < shows.times)) throw new Error(`${program} ended with ${code} and told of ${seen} agents:\n${output}`)
  return took
}
