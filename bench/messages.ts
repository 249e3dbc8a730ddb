import type { Bench, Lab } from './lib/bench.ts'
import { type Round, rateFigure } from './lib/figures.ts'
import { startRegent } from './lib/regent.ts'
import { startRelay } from './lib/relay.ts'
import type { Figure } from './lib/result.ts'
import { addTeam } from './lib/team.ts'

const MANY = 20

export const messages: Bench = {
  name: 'messages',
  about: `From sending \`POST /api/v1/agents/ID/messages\` with \`{"wait":true}\` to the reply: agents of one member with the offline model,
which echoes. Each agent is sent one message after the other, with 1 agent and with ${MANY} at the same time; all share the machine. A
message is committed to the inbox, written to the runner's journal, planned, worked on, and its reply committed. Beside it the bare way:
HTTP, a WebSocket to another process that echoes, and back. There is no goal; it is a baseline.`,
  n: 400,
  of: 'messages, to one agent and to all together',
  async run(lab) {
    const figures: Figure[] = []
    for (const agents of [1, MANY]) figures.push(...(await measure(lab, agents)))
    return figures
  },
}

/** Sends one message to the agent at this place and waits for the reply. */
type Send = (at: number, content: string) => Promise<unknown>

async function measure(lab: Lab, agents: number): Promise<Figure[]> {
  const shared = agents === 1 ? '1 agent' : `${agents} agents`
  const regent = await startRegent(lab, `regent-${agents}`)
  const ids: string[] = []
  for (let at = 0; at < agents; at++) ids.push((await addTeam(regent, `echo-${at}`)).id)
  const ours = await converse(lab, agents, async (at, content) => {
    const { body } = await regent.caller.call('POST', `/api/v1/agents/${ids[at]}/messages`, { content, wait: true })
    if (!JSON.stringify(body.reply).includes(content)) throw new Error(`no echo: ${JSON.stringify(body)}`)
  })
  const relay = await startRelay(lab, { agents })
  const bare = await converse(lab, agents, (at, content) => relay.call('POST', `/agents/${at}/messages`, { content }))
  return [
    rateFigure({ what: `regent: message to reply, ${shared}`, of: 'ours' }, [ours]),
    rateFigure({ what: `bare HTTP and WebSocket, ${shared}`, of: 'limit' }, [bare]),
  ]
}

async function converse(lab: Lab, agents: number, send: Send): Promise<Round> {
  await Promise.all(Array.from({ length: agents }, (_, at) => send(at, 'warming up')))
  const times: number[] = []
  let left = lab.n
  const talk = async (at: number): Promise<void> => {
    while (left-- > 0) {
      const from = performance.now()
      await send(at, `message ${left}`)
      times.push(performance.now() - from)
    }
  }
  const from = performance.now()
  await Promise.all(Array.from({ length: agents }, (_, at) => talk(at)))
  return { ms: performance.now() - from, times }
}
