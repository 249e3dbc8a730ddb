import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agentsByName, printedBy } from '../helpers/command-agents.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

describe('regent import into a real Regent', { timeout: 120_000 }, () => {
  it('runs the programs of a supervisord.conf and an ecosystem file; a second time changes nothing', async () => {
    const regent = await Regent.start()
    const folder = join(regent.project, 'old')
    mkdirSync(join(folder, 'conf.d'), { recursive: true })
    writeFileSync(join(folder, 'supervisord.conf'), '[supervisord]\nenvironment=SHARED=all\n[include]\nfiles=conf.d/*.ini\n')
    writeFileSync(
      join(folder, 'conf.d/web.ini'),
      '[program:web]\ncommand=sh -c \'echo "$SHARED %(process_num)d $API_TOKEN in $PWD"; exec sleep 1000\'\nprocess_name=web_%(process_num)d\n' +
        'numprocs=2\ndirectory=%(here)s\nenvironment=API_TOKEN="hush-hush"\n[program:off]\ncommand=sleep 1\ndirectory=/\nautostart=false\n',
    )
    writeFileSync(
      join(folder, 'api.js'),
      'console.log(process.env.NODE_APP_INSTANCE, ...process.argv.slice(2)); setInterval(() => {}, 1e6)\n',
    )
    const app = `{ name: 'api', script: 'api.js', args: 'one "two three"', instances: 2 }`
    writeFileSync(join(folder, 'ecosystem.config.cjs'), `module.exports = { apps: [${app}] }\n`)
    const files = [join(folder, 'supervisord.conf'), join(folder, 'ecosystem.config.cjs')]

    const first = await regent.json<{ agents: { outcome: string; started: boolean }[] }>('import', ...files)
    expect(first.agents.map(({ outcome }) => outcome)).toEqual(Array(5).fill('created'))
    const running = ['web_0', 'web_1', 'api-0', 'api-1']
    await until(
      async () => Object.values(await agentsByName(regent)).filter(({ state }) => state === 'RUNNING').length === 4,
      'all of them',
      30_000,
    )
    await until(
      async () => (await Promise.all(running.map((name) => printedBy(regent, name)))).every((lines) => lines.length === 1),
      'a line of each',
    )
    const inside = join(folder, 'conf.d')
    expect(await Promise.all(running.map((name) => printedBy(regent, name)))).toEqual([
      [`all 0 hush-hush in ${inside}`],
      [`all 1 hush-hush in ${inside}`],
      ['0 one two three'],
      ['1 one two three'],
    ])
    const before = await agentsByName(regent)
    expect(before.off?.state).toBe('STOPPED')
    expect((await regent.fetch('/api/v1/agents/web_0')).body).toMatchObject({ definition: { env: { API_TOKEN: '***' } } })

    const second = await regent.json<{ agents: { outcome: string; started: boolean }[] }>('import', ...files)
    expect(second.agents.map(({ outcome, started }) => [outcome, started])).toEqual(Array(5).fill(['unchanged', false]))
    const after = await agentsByName(regent)
    for (const name of running) expect(after[name]?.pid).toBe(before[name]?.pid)
  })
})
