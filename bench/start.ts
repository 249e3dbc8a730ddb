import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Bench } from './lib/bench.ts'
import { timeFigure } from './lib/figures.ts'
import { endChild } from './lib/programs.ts'
import { addSleepers, startRegent } from './lib/regent.ts'

export const start: Bench = {
  name: 'start',
  about: `From sending \`POST /api/v1/agents/ID/start\` with \`{"wait":true}\` to the answer that the agent is RUNNING: a command agent,
\`sleep\`, with \`startsecs\` 0, started and stopped in sequence over one kept connection. In that time the intent, the run and both
moves are committed, and the agent has a process, a wrapper and two pipes to the log pump. Beside it the same program from a bare
\`child_process.spawn\`, in turns: until Node says that it was spawned, and until its entry in \`/proc\` shows it running.`,
  n: 200,
  of: 'starts',
  async run(lab) {
    const regent = await startRegent(lab)
    const [agent] = await addSleepers(regent, 1, false)
    const path = `/api/v1/agents/${agent?.id}`
    const ours: number[] = []
    const spawned: number[] = []
    const running: number[] = []
    for (let round = 0; round < lab.n + WARM_UP; round++) {
      const from = performance.now()
      const { body } = await regent.caller.call('POST', `${path}/start`, { wait: true })
      const took = performance.now() - from
      if (body.state !== 'RUNNING') throw new Error(`the agent is ${body.state}: ${body.reason}`)
      await regent.caller.call('POST', `${path}/stop`, { wait: true })
      const bare = await spawnBare()
      if (round < WARM_UP) continue
      ours.push(took)
      spawned.push(bare.spawned)
      running.push(bare.running)
    }
    return [
      timeFigure({ what: 'regent: start to RUNNING', of: 'ours', goal: 15 }, ours),
      timeFigure({ what: 'bare spawn: until spawned', of: 'limit' }, spawned),
      timeFigure({ what: 'bare spawn: until /proc shows it', of: 'limit' }, running),
    ]
  },
}

const WARM_UP = 5

async function spawnBare(): Promise<{ spawned: number; running: number }> {
  const from = performance.now()
  const child = spawn('sleep', ['100000'], { stdio: 'ignore' })
  await once(child, 'spawn')
  const spawned = performance.now() - from
  while (readFileSync(`/proc/${child.pid}/comm`, 'utf8') !== 'sleep\n') if (performance.now() - from > 5000) throw new Error('not spawned')
  const running = performance.now() - from
  await endChild(child)
  return { spawned, running }
}
