import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { agentRow } from '../../helpers/rows.ts'
import { secretAt, site, team } from './site.ts'

describe('what is launched', () => {
  const run = { runId: 'run-1', start: 7 }

  it('is the agent file for a team, with an environment made from nothing', async () => {
    const { project, root, secrets } = await site()
    const agent = team()
    await project.write(agent)
    await secrets.put(agent.id, { 'json_config.anthropic.api_key': 'sk-1' })
    const launch = await project.launch(agent, run)
    expect(launch.argv).toEqual([process.execPath, expect.stringMatching(/^--max-semi/), join(root, 'agents/ann/agents/finder_agent.mjs')])
    expect([launch.cwd, launch.reapOnExit]).toEqual([root, true])
    expect(launch.env).toEqual({
      PATH: '/usr/bin:/bin',
      HOME: '/home/ann',
      LANG: 'C.UTF-8',
      ANTHROPIC_API_KEY: 'key from the environment',
      REGENT_RUN_ID: 'run-1',
      REGENT_AGENT_ID: agent.id,
      REGENT_AGENT: 'ann/finder',
      REGENT_AGENT_STATE: expect.stringMatching(new RegExp(`/state/${agent.id}$`)),
      REGENT_START: '7',
      REGENT_AGENT_SECRETS: '{"json_config.anthropic.api_key":"sk-1"}',
    })
  })

  it('is nothing when the agent file is gone', async () => {
    const { project } = await site()
    await expect(project.launch(team(), run)).rejects.toMatchObject({ code: 'NOT_FOUND', hint: expect.any(String) })
  })

  it('is the program of a command, with its variables and the secrets they refer to, and nothing of a team', async () => {
    const { project, root, secrets } = await site()
    const env = {
      PLAIN: `a ${secretAt('in.the.middle')} of it`,
      KEY: secretAt('env.KEY'),
      LOST: secretAt('env.LOST'),
      PROTO: secretAt('toString'),
      REGENT_RUN_ID: 'forged',
      LANG: 'de_DE.UTF-8',
    }
    const agent = agentRow({ definition: { command: ['sh', '-c', `echo "$KEY" ${secretAt('env.KEY')}`], env } })
    await secrets.put(agent.id, { 'env.KEY': 'sk-"2"' })
    const launch = await project.launch(agent, run)
    expect(launch).toEqual({
      argv: ['sh', '-c', `echo "$KEY" ${secretAt('env.KEY')}`],
      cwd: root,
      reapOnExit: false,
      needs: { read: [], write: [] },
      env: {
        PATH: '/usr/bin:/bin',
        HOME: '/home/ann',
        LANG: 'de_DE.UTF-8',
        PLAIN: `a ${secretAt('in.the.middle')} of it`,
        KEY: 'sk-"2"',
        LOST: '',
        PROTO: '',
        REGENT_RUN_ID: 'run-1',
        REGENT_AGENT_ID: agent.id,
        REGENT_AGENT: `ann/${agent.name}`,
      },
    })
    expect((await project.launch({ ...agent, definition: { command: ['true'], cwd: '/srv' } }, run)).cwd).toBe('/srv')
  })

  it('is refused when a variable is longer than a program can be given', async () => {
    const { project } = await site()
    const agent = agentRow({ definition: { command: ['true'], env: { BIG: 'x'.repeat(140_000) } } })
    await expect(project.launch(agent, run)).rejects.toMatchObject({ code: 'TOO_LARGE', message: expect.stringContaining('BIG') })
  })

  it('is not there yet for other kinds', async () => {
    const { project } = await site()
    await expect(project.launch(agentRow({ kind: 'container' }), run)).rejects.toMatchObject({ code: 'NOT_YET' })
  })
})
