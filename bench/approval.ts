import { join } from 'node:path'
import { createClient } from '../src/client/index.ts'
import type { Bench, Lab } from './lib/bench.ts'
import { timeFigure } from './lib/figures.ts'
import { type Regent, startRegent } from './lib/regent.ts'
import { stampArgv, stampOf, startRelay } from './lib/relay.ts'
import { addTeam } from './lib/team.ts'
import { within } from './lib/until.ts'

export const approval: Bench = {
  name: 'approval',
  about: `From sending \`POST /api/v1/approvals/ID/approve\` to the tool running: an agent of one member with the offline model is told to
call a tool with \`seek_confirm\`; the tool belongs to an MCP server over stdio and stamps the time when it is called. In that time the
answer goes to the agent's runner, which writes it down before it acts. Beside it the bare way, in turns: HTTP, a WebSocket to another
process, and the same tool called by it, with nothing kept or asked.`,
  n: 50,
  of: 'approvals',
  async run(lab) {
    const regent = await startRegent(lab)
    const folder = lab.folder('stamps')
    const ask = await askingAgent(lab, regent, join(folder, 'regent'))
    const stampFile = join(folder, 'relay')
    const relay = await startRelay(lab, { agents: 1, stampFile })
    const ours: number[] = []
    const answered: number[] = []
    const bare: number[] = []
    for (let round = 0; round < lab.n + WARM_UP; round++) {
      const asked = await ask(round)
      const from = process.hrtime.bigint()
      await relay.call('POST', '/agents/0/messages', { content: String(round) })
      if (round < WARM_UP) continue
      ours.push(asked.running)
      answered.push(asked.answered)
      bare.push(msBetween(from, stampOf(stampFile, round)))
    }
    return [
      timeFigure({ what: 'regent: approval to the tool running', of: 'ours', goal: 20 }, ours),
      timeFigure({ what: 'regent: approval to its answer over HTTP', of: 'ours' }, answered),
      timeFigure({ what: 'bare HTTP, WebSocket, stdio: to the tool running', of: 'limit' }, bare),
    ]
  },
}

const WARM_UP = 3

const msBetween = (from: bigint, to: bigint): number => Number(to - from) / 1e6

interface Asked {
  /** ms from sending the approval until the tool was called. */
  readonly running: number
  /** ms until the call that brought the approval was answered. */
  readonly answered: number
}

async function askingAgent(lab: Lab, regent: Regent, file: string): Promise<(round: number) => Promise<Asked>> {
  const { id } = await addTeam(regent, 'asker', { name: 'stamp', tool: 'stamp', argv: stampArgv(file) })
  const over = new AbortController()
  lab.defer(() => over.abort())
  const requests = createClient(regent).open('events.stream', { types: ['approval.requested'], after: 0 }, { signal: over.signal })
  const events = requests[Symbol.asyncIterator]()
  return async (round) => {
    const content = `call stamp {"round":${round}}`
    const replied = regent.caller.call('POST', `/api/v1/agents/${id}/messages`, { content, wait: true })
    const { value } = await within(events.next(), 'an approval to be requested')
    if (value?.kind !== 'event') throw new Error('the events do not tell of an approval')
    const from = process.hrtime.bigint()
    await regent.caller.call('POST', `/api/v1/approvals/${value.event.data.id}/approve`, {})
    const answered = msBetween(from, process.hrtime.bigint())
    await replied
    return { running: msBetween(from, stampOf(file, round)), answered }
  }
}
