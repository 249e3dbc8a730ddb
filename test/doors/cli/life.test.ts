import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentView } from '../../helpers/views.ts'

const fleet = [
  agentView({ id: 'aaaa1111', name: 'one' }),
  agentView({ id: 'bbbb2222', name: 'two' }),
  agentView({ id: 'cccc3333', owner: 'bo', name: 'three' }),
]
const byId = (id: unknown) => fleet.find((agent) => agent.id === id || agent.name === id) ?? agentView()

const living = () =>
  fakeRegent({
    'agents.list': ({ owner }) => ({ agents: fleet.filter((agent) => owner === undefined || agent.owner === owner), next_cursor: null }),
    'agents.start': ({ agent }) => byId(agent),
    'agents.restart': ({ agent }) => byId(agent),
    'agents.stop': ({ agent }) => ({ ...byId(agent), state: 'STOPPED', pid: null, reason: 'stopped by alice', survivors: [] }),
    'agents.get': ({ agent }) => {
      const found = fleet.find(({ id, name }) => id === agent || name === agent)
      if (!found) throw new RegentError('NOT_FOUND', `there is no agent ${agent}`)
      return found
    },
    'agents.stop_all': ({ agents }) => ({
      agents: (agents as string[]).map((id) => ({ ...byId(id), state: 'STOPPED', pid: null, reason: '', survivors: [] })),
    }),
    'agents.delete': ({ agent }) => ({ ...byId(agent), deleted: true }),
  })

describe('regent start, stop, restart, rm', () => {
  it('waits for the outcome unless told not to', async () => {
    const regent = await living()
    expect(await regent.run(['start', 'one'])).toEqual({ code: 0, stdout: 'alice/one  RUNNING  pid 4242\n', stderr: '' })
    await regent.run(['restart', 'one', '--no-wait', '--timeout', '1m30s'])
    expect(regent.api.requests.map(({ operation, input }) => [operation, input])).toEqual([
      ['agents.start', { agent: 'one', wait: true }],
      ['agents.restart', { agent: 'one', wait: false, timeout: 90_000 }],
    ])
  })

  it('[I2-CLI-05] takes several names, globs and all, at once', async () => {
    const regent = await living()
    const several = await regent.run(['stop', 'one', 't*', '--json'])
    expect(JSON.parse(several.stdout).map(({ name }: { name: string }) => name)).toEqual(['one', 'two', 'three'])
    expect((await regent.run(['start', 'all', '--owner', 'bo', '-o', 'name'])).stdout).toBe('bo/three\n')
    expect((await regent.run(['stop', 'all'])).stdout.split('\n')).toHaveLength(4)
  })

  it('stops several in one request, so that their order is kept, and tells of those that are not there', async () => {
    const regent = await living()
    const { code, stdout, stderr } = await regent.run(['stop', 'two', 'twoo', 'o*', '--timeout', '5s'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: 'alice/two  STOPPED\nalice/one  STOPPED\n' })
    expect(stderr).toContain('there is no agent twoo\nhint: did you mean two?')
    const asked = regent.api.requests.filter(({ operation }) => operation === 'agents.stop_all').map(({ input }) => input)
    expect(asked).toEqual([{ agents: ['bbbb2222', 'aaaa1111'], wait: true, timeout: 5000 }])
  })

  it('keeps names with a slash whole on their way', async () => {
    const regent = await living()
    await regent.run(['stop', 'bo/three'])
    expect(regent.api.requests[0]?.input).toEqual({ agent: 'bo/three', wait: true })
  })

  it('tells of agents that are not there, with the likeliest name, and goes on with the others', async () => {
    const regent = await living()
    regent.api.on('agents.start', ({ agent }) => {
      if (agent === 'oen') throw new RegentError('NOT_FOUND', 'there is no agent oen')
      return byId(agent)
    })
    const { code, stdout, stderr } = await regent.run(['start', 'oen', 'two'])
    expect({ code, stdout }).toEqual({ code: 4, stdout: 'alice/two  RUNNING  pid 4242\n' })
    expect(stderr).toContain('there is no agent oen\nhint: did you mean one?')
    expect((await regent.run(['stop', 'zzz*'])).code).toBe(4)
  })

  it('fails when the agent did not come up, when processes survive, and when the time is over', async () => {
    const regent = await living()
    regent.api.on('agents.start', () => agentView({ state: 'FATAL', pid: null, reason: 'no such program' }))
    const fatal = await regent.run(['start', 'one'])
    expect(fatal).toMatchObject({ code: 1, stdout: 'alice/news  FATAL  no such program\n' })
    expect(fatal.stderr).toContain('regent logs alice/news')
    regent.api.on('agents.stop', () => ({ ...agentView({ state: 'STOPPED', pid: null, reason: '' }), survivors: [77, 78] }))
    const survived = await regent.run(['stop', 'one'])
    expect(survived.code).toBe(1)
    expect(survived.stderr).toContain('2 processes of alice/news could not be ended: 77 78')
    regent.api.on('agents.stop', () => {
      throw new RegentError('TIMED_OUT', 'alice/one is still STOPPING after 1 s')
    })
    expect((await regent.run(['stop', 'one', '--timeout', '1s'])).code).toBe(124)
  })

  it('removes one at once, several only with -y where nobody can be asked', async () => {
    const regent = await living()
    expect(await regent.run(['rm', 'one'])).toEqual({ code: 0, stdout: 'alice/one  removed\n', stderr: '' })
    const refused = await regent.run(['rm', 'one', 'two'])
    expect(refused.code).toBe(2)
    expect(refused.stderr).toContain('Remove 2 agents with their files (one, two)? Nobody can be asked here\nhint: add -y')
    expect((await regent.run(['rm', 'all'])).code).toBe(2)
    expect(regent.api.requests.filter(({ operation }) => operation === 'agents.delete')).toHaveLength(1)
    expect((await regent.run(['delete', '-y', 'all'])).stdout).toBe('alice/one  removed\nalice/two  removed\nbo/three  removed\n')
  })
})
