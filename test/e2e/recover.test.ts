import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { act, agentsByName, printedBy, startCommand } from '../helpers/command-agents.ts'
import { Regent } from '../helpers/regent.ts'
import { onSqlite } from '../helpers/stores.ts'
import { until } from '../helpers/until.ts'

interface Report {
  found: { state: string; aside?: string }
  agents: { agent: string; pid: number | null }[]
  traces: string[]
}

const database = (regent: Regent) => join(regent.home, 'regent.db')
const removeAll = (regent: Regent) => {
  for (const end of ['', '-wal', '-shm']) rmSync(database(regent) + end, { force: true })
}

const losses: readonly [string, (regent: Regent) => void][] = [
  ['holds something else', (regent) => writeFileSync(database(regent), 'these are not the rows you are looking for'.repeat(200))],
  ['is empty', (regent) => truncateSync(database(regent), 0)],
  ['is gone', removeAll],
]

describe('a database that is lost', { timeout: 120_000, ...onSqlite }, () => {
  it.each(losses)(
    '[F39] [I3-HOST-02] that %s: serve refuses and says what to do; recover gives every running agent back, with its pid',
    async (_, lose) => {
      const regent = await Regent.start()
      await startCommand(regent, 'web', ['sh', '-c', 'echo "$API_TOKEN"; exec sleep 1000'], {
        policy: { restart: 'always' },
        env: { API_TOKEN: 'hush-hush' },
      })
      await startCommand(regent, 'short', ['sleep', '1000'])
      await startCommand(regent, 'idle', ['sleep', '1000'], { env: { OTHER_TOKEN: 'kept-apart' } })
      await act(regent, 'idle', 'stop')
      const before = await agentsByName(regent)
      expect((await regent.run('recover', '-y')).stderr).toContain(`pid ${regent.pid}`)
      await regent.kill()
      process.kill(before.short?.pid ?? 0, 'SIGKILL')
      lose(regent)
      const lost = readdirSync(regent.home).includes('regent.db') ? readFileSync(database(regent)) : undefined

      const refused = await regent.run('serve')
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain('regent recover')
      if (lost) expect(readFileSync(database(regent))).toEqual(lost)

      const report = await regent.json<Report>('recover', '-y')
      expect(report.agents.map(({ agent, pid }) => [agent.split('/')[1], pid]).sort()).toEqual([
        ['short', null],
        ['web', before.web?.pid],
      ])
      expect(report.traces).toHaveLength(1)
      if (lost) expect(readFileSync(report.found.aside ?? '')).toEqual(lost)
      else expect(report.found).toEqual({ state: 'missing' })

      await regent.serve()
      await until(async () => (await agentsByName(regent)).short?.state === 'RUNNING', 'the one that had died, by its policy')
      const after = await agentsByName(regent)
      expect(after.web).toMatchObject({ state: 'RUNNING', pid: before.web?.pid })
      expect(after.idle).toBeUndefined()
      // Its definition is whole: another life has the secret too.
      expect((await regent.fetch('/api/v1/agents/web')).body).toMatchObject({ policy: { restart: 'always' } })
      await act(regent, 'web', 'restart')
      await until(async () => (await printedBy(regent, 'web')).length === 2, 'a line of each life')
      expect(await printedBy(regent, 'web')).toEqual(['hush-hush', 'hush-hush'])
    },
  )

  it('does nothing to a sound one, twice', async () => {
    const regent = await Regent.start()
    await startCommand(regent, 'web', ['sleep', '1000'])
    const before = await agentsByName(regent)
    await regent.kill()
    for (let times = 0; times < 2; times++)
      expect(await regent.json('recover', '-y')).toMatchObject({ found: { state: 'sound' }, agents: [], left: [], traces: [] })
    await regent.serve()
    expect((await agentsByName(regent)).web).toMatchObject({ state: 'RUNNING', pid: before.web?.pid })
  })

  it('asks before it does anything', async () => {
    const regent = await Regent.start()
    await regent.kill()
    writeFileSync(database(regent), 'rubbish')
    const asked = await regent.run('recover')
    expect(asked.code).toBe(2)
    expect(asked.stderr).toContain('add -y')
    expect(readFileSync(database(regent), 'utf8')).toBe('rubbish')
    expect((await regent.run('recover', '-y', '--home', join(regent.home, 'none'))).code).toBe(4)
  })
})
