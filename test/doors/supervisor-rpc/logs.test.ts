import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { operations } from '../../../src/contract/operations.ts'
import { follow, openSupervisorDoor } from '../../helpers/supervisor-door.ts'
import { until } from '../../helpers/until.ts'

const running = {
  state: 'RUNNING',
  pid: 99,
  uptime_ms: 93_784_000,
  run_id: 'r',
  revision: 1,
  running_revision: 1,
  desired: 'running',
} as const

async function* printed(lines: readonly string[]): AsyncGenerator<object> {
  for (const text of lines) yield { run_id: 'r', stream: 'stdout', at: 0, text }
}

describe('logs', () => {
  it('are read in bytes, stdout and stderr apart; those of a team together', async () => {
    const door = await openSupervisorDoor()
    const { id } = door.agent('me', 'job', running)
    const team = door.agent('me', 'team', { kind: 'team' })
    door.fake.answers.set('agents.logs', () => printed(['one', 'twö <&>']))
    expect(await door.call('supervisor.readProcessStdoutLog', 'job', -1600, 0)).toBe('one\ntwö <&>\n')
    expect(await door.call('supervisor.readProcessStderrLog', 'job', -4, 0)).toBe('<&>\n')
    expect(await door.call('supervisor.tailProcessLog', 'job', 0, 4)).toEqual(['<&>\n', 13, true])
    expect(await door.call('supervisor.readProcessLog', 'team', 0, 3)).toBe('one')
    expect(await door.call('supervisor.readProcessLog', 'job', -3, 3)).toEqual({ fault: 3, words: 'BAD_ARGUMENTS' })
    const asked = door.fake.seen.filter(({ name }) => name === 'agents.logs').map(({ input }) => input)
    expect(asked.slice(0, 2)).toEqual([
      { agent: id, tail: 1600, stream: 'stdout' },
      { agent: id, tail: 4, stream: 'stderr' },
    ])
    expect(asked[3], 'not gathered in memory').toEqual({ agent: team.id, since: 0 })
  })

  it('that are asked for by more than a million bytes were refused as bad parameters', async () => {
    const door = await openSupervisorDoor()
    door.agent('me', 'job', running)
    door.fake.answers.set('agents.logs', (input: object) => {
      operations['agents.logs'].input.parse(input)
      return printed(['one'])
    })
    expect(await door.call('supervisor.readProcessStdoutLog', 'job', -1_100_000, 0)).toBe('one\n')
  })

  it('are cleared by the core', async () => {
    const door = await openSupervisorDoor()
    const { id } = door.agent('me', 'job', running)
    const cleared: unknown[] = []
    door.fake.answers.set('agents.clear_logs', (input) => {
      cleared.push(input)
      return { cleared: true }
    })
    expect(await door.call('supervisor.clearProcessLogs', 'job')).toBe(true)
    expect(await door.call('supervisor.clearAllProcessLogs')).toMatchObject([{ name: 'me_job_agent', status: 80 }])
    expect(cleared).toEqual([{ agent: id }, { agent: id }])
  })

  it("are Regent's own too", async () => {
    const door = await openSupervisorDoor()
    door.mainLog.write('first\nsecond\n')
    expect(await door.call('supervisor.readLog', -7, 0)).toBe('second\n')
    expect(await door.call('supervisor.readProcessStdoutLog', 'agent_manager', -7, 0)).toBe('second\n')
    expect(await door.call('supervisor.clearLog')).toBe(true)
    expect(await door.call('supervisor.readLog', -7, 0)).toBe('')
  })

  it('are followed until the reader goes', async () => {
    const door = await openSupervisorDoor()
    door.agent('me', 'job', running)
    let stopped = false
    door.fake.answers.set('agents.logs', (input, { signal }) => {
      if (!input.follow) return printed(['old'])
      return (async function* () {
        yield* printed(['old', 'new é'])
        await once(signal, 'abort')
        stopped = true
      })()
    })
    const reader = await follow(door.path, '/logtail/me_job_agent/stdout')
    await until(() => reader.text() === 'old\nnew é\n', 'both lines')
    expect(reader.header('transfer-encoding')).toBe('chunked')
    reader.leave()
    await until(() => stopped, 'the end of the stream')
  })

  it("are followed from the last bytes of Regent's own", async () => {
    const door = await openSupervisorDoor()
    door.mainLog.write(`${'x'.repeat(2000)}\nlast\n`)
    for (const path of ['/mainlogtail', '/logtail/agent_manager/stdout']) {
      const reader = await follow(door.path, path)
      await until(() => reader.text().length === 1024, 'the head')
      expect(reader.text().endsWith('last\n')).toBe(true)
      door.mainLog.write('last\n')
      await until(() => reader.text().length === 1029, 'the next line')
      reader.leave()
    }
  })

  it('of nobody are not there', async () => {
    const door = await openSupervisorDoor()
    for (const path of ['/logtail/nobody/stdout', '/logtail/', '/logtail', '/', '/x', '/logtail/%E0%A4%A', '/RPC2'])
      expect((await door.get(path)).status).toBe(404)
  })
})
