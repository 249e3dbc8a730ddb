import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type AgentProcess, startTeam, type TeamProcess } from '../helpers/agent-process.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { LinkServer } from '../helpers/link-server.ts'
import { until } from '../helpers/until.ts'

const finder = { name: 'finder', instruction: 'Find.', servers: ['slow'], model: 'offline' }
const quiet = { default_model: 'offline', logger: { level: 'error', type: 'console' } }

function setting(rule?: object): TeamProcess & { begun: string; go: string } {
  const folder = temporaryFolder()
  const begun = join(folder, 'begun')
  const go = join(folder, 'go')
  const slow = {
    command: 'node',
    args: [join(import.meta.dirname, '../fixtures/mcp/slow-server.mjs'), begun, go],
    tool_calls: rule ? [rule] : [],
  }
  const definition = { name: 'crew', subagents: [finder], config: { ...quiet, mcp: { servers: { slow } } } }
  return { stateDir: join(folder, 'state'), runDir: temporaryFolder(), definition, begun, go }
}

const lines = (file: string, word: string): string[] =>
  existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.startsWith(word))
    : []
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
async function killed(agent: AgentProcess): Promise<void> {
  agent.kill('SIGKILL')
  await agent.exited
}

describe('a runner that is killed', () => {
  it('in the middle of an answer goes on with it, and repeats no model call that had ended', async () => {
    const set = setting()
    const regent = await LinkServer.open(set.runDir)
    const first = startTeam(set)
    await regent.linked()
    regent.message('m1', 'sleep 1000\nsay the answer')
    await until(() => regent.taken.of('usage').length === 1, 'the plan to be made')
    await until(() => regent.of('activity').at(-1)?.activity === 'working', 'the work')
    await killed(first)

    const begun = performance.now()
    const second = startTeam(set)
    await until(() => regent.taken.finals('m1').length > 0, 'the answer')
    expect(performance.now() - begun).toBeLessThan(8_000)
    expect(regent.taken.finals('m1').map((row) => row.content)).toEqual(['the answer'])
    expect(regent.taken.of('usage')).toHaveLength(4)
    expect(regent.taken.of('tried').map((row) => row.tries)).toEqual([2])
    expect(regent.taken.of('say').map((row) => row.type)).toEqual(['assistant', 'assistant'])
    expect(regent.taken.of('done')).toHaveLength(1)
    expect(regent.taken.repeated).toBe(0)
    expect(second.err()).toBe('')
  })

  it('between a tool call and its result does not call again: the model hears that the outcome is unknown', async () => {
    const set = setting()
    const regent = await LinkServer.open(set.runDir)
    const first = startTeam(set)
    await regent.linked()
    regent.message('m1', 'call write {}')
    await until(() => lines(set.begun, 'write').length === 1, 'the tool to run')
    const server = Number(lines(set.begun, 'started')[0]?.split(' ')[1])
    await killed(first)
    writeFileSync(set.go, '')
    await until(() => !alive(server), 'the tool server, without its agent, to end')
    startTeam(set)
    await until(() => regent.taken.of('done').length === 1, 'the answer')
    expect(lines(set.begun, 'write')).toHaveLength(1)
    const results = regent.taken.of('say').filter((row) => row.type === 'tool_result')
    expect(results.map((row) => row.content)).toEqual([
      { isError: true, content: [{ type: 'text', text: expect.stringContaining('unknown: the agent was restarted while it ran') }] },
    ])
    expect(regent.taken.finals('m1')[0]?.content).toContain('restarted while it ran')
    expect(regent.taken.of('say').filter((row) => row.type === 'tool_call')).toHaveLength(1)
  })

  it('in the call of a tool that only reads calls it again', async () => {
    const set = setting()
    const regent = await LinkServer.open(set.runDir)
    const first = startTeam(set)
    await regent.linked()
    regent.message('m1', 'call read {}')
    await until(() => lines(set.begun, 'read').length === 1, 'the tool to run')
    await killed(first)
    writeFileSync(set.go, '')
    startTeam(set)
    await until(() => regent.taken.of('done').length === 1, 'the answer')
    expect(lines(set.begun, 'read')).toHaveLength(2)
    expect(regent.taken.finals('m1')[0]?.content).toContain('read is done')
  })

  it('while it waits for an approval asks again under the same id, and takes the answer', async () => {
    const set = setting({ name: 'write', seek_confirm: true, time_to_confirm: 60_000 })
    writeFileSync(set.go, '')
    const regent = await LinkServer.open(set.runDir)
    const first = startTeam(set)
    await regent.linked()
    regent.message('m1', 'call write {}')
    await until(() => regent.taken.of('approval_requested').length === 1, 'the approval')
    await killed(first)

    const second = startTeam(set)
    await until(() => regent.of('hello').length === 2, 'the runner to come back')
    await until(() => regent.taken.of('approval_requested').length === 2, 'the approval to be announced again')
    const [before, after] = regent.taken.of('approval_requested').map((row) => row.approval)
    expect(after).toEqual(before)
    expect(lines(set.begun, 'write')).toHaveLength(0)
    regent.answer(before?.id ?? '', true)
    await until(() => regent.taken.of('done').length === 1, 'the answer')
    expect(regent.of('answered')).toMatchObject([{ outcome: 'accepted', confirmed: true, by: 'ann' }])
    expect(lines(set.begun, 'write')).toHaveLength(1)
    expect(regent.taken.of('approval_closed')).toHaveLength(1)
    expect(second.err()).toBe('')
  })

  it('again and again loses nothing and repeats nothing', async () => {
    const set = setting()
    writeFileSync(set.go, '')
    const regent = await LinkServer.open(set.runDir)
    const ids = Array.from({ length: 12 }, (_, number) => `m${number}`)
    let agent = startTeam(set)
    await regent.linked()
    for (const id of ids) regent.message(id, `say answer of ${id}\nsleep 40\ncall read {}`)
    await until(() => regent.accepted.length === ids.length, 'the messages to be taken in')
    for (let round = 0; round < 4; round++) {
      const done = regent.taken.of('done').length
      await until(() => regent.taken.of('done').length > done, 'some work')
      await killed(agent)
      agent = startTeam(set)
    }
    await until(() => regent.taken.of('done').length === ids.length, 'all answers', 20_000)
    expect(regent.taken.of('done').map((row) => row.message_id)).toEqual(ids)
    for (const id of ids) expect(regent.taken.finals(id).map((row) => row.content)).toEqual([expect.stringContaining('read is done')])
    const says = regent.taken.of('say')
    expect(new Set(says.map((row) => row.id)).size).toBe(says.length)
    expect(says.filter((row) => row.type === 'tool_call')).toHaveLength(ids.length)
    expect(regent.problems).toEqual([])
  })
})

describe('a runner that is told to stop', () => {
  it('ends with 0 within two seconds, its tool servers with it, and goes on with its work at the next start', async () => {
    const set = setting()
    const regent = await LinkServer.open(set.runDir)
    const first = startTeam(set)
    await regent.linked()
    regent.message('m1', 'sleep 1500\nsay the answer')
    await until(() => regent.taken.of('usage').length === 1, 'the plan to be made')
    await until(() => lines(set.begun, 'started').length === 1, 'the tool server')
    const server = Number(lines(set.begun, 'started')[0]?.split(' ')[1])
    const begun = performance.now()
    first.kill('SIGTERM')
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - begun).toBeLessThan(2_000)
    expect(alive(server)).toBe(false)
    startTeam(set)
    await until(() => regent.taken.finals('m1').length === 1, 'the answer')
    expect(regent.taken.of('tried')).toEqual([])
  })

  it('by a Regent that refuses its run ends with 0 and says so', async () => {
    const set = setting()
    const regent = await LinkServer.open(set.runDir, { welcomes: false })
    const agent = startTeam({ ...set, definition: { name: 'crew', subagents: [], config: { default_model: 'offline' } } })
    await regent.linked()
    regent.send({ type: 'refused', reason: 'this run is not the present one of its agent' })
    expect(await agent.exited).toEqual({ code: 0, signal: null })
    expect(agent.err()).toContain('Regent refuses this run: this run is not the present one of its agent')
  })

  it('by a definition that is not right ends with 1 and names the field', async () => {
    const set = setting()
    const agent = startTeam({ ...set, definition: { name: 'crew', subagents: [{ name: 'a' }], config: {} } })
    expect((await agent.exited).code).toBe(1)
    expect(agent.err()).toContain('subagents.0.instruction')
  })
})
