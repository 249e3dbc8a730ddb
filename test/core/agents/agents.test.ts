import { describe, expect, it } from 'vitest'
import { admin, CoreWorld, userCalled } from '../../helpers/core-world.ts'

const team = (json_config: object, more: object = {}) => ({
  agent: { kind: 'team', owner: 'alice', name: 'news', subagents: [], json_config, ...more },
})
const secretive = {
  anthropic: { api_key: 'sk-ant-canary' },
  mcp: {
    servers: {
      s: {
        url: 'http://x',
        transport: 'http',
        headers: { Authorization: 'Bearer canary' },
        auth: { api_key: 'canary-2' },
        env: { BRAVE_API_KEY: 'canary-3', MODE: 'fast' },
      },
    },
  },
  custom: { max_tokens: 5, note: 'plain' },
}

describe('creating an agent', () => {
  it('keeps json_config as it was posted, unknown keys and all', async () => {
    const world = await CoreWorld.open()
    const made = await world.call<{ definition: object }>(
      'agents.create',
      team({ something: { new: [1, { deep: true }] }, default_model: 'haiku' }),
    )
    expect(made.definition).toEqual({ subagents: [], json_config: { something: { new: [1, { deep: true }] }, default_model: 'haiku' } })
  })

  it('[I2-SEC-01] takes secrets out: they are in the secret store alone and come back as ***', async () => {
    const world = await CoreWorld.open()
    const made = await world.call<{ id: string; definition: unknown }>('agents.create', team(secretive))
    expect(await world.secrets.get(made.id)).toEqual({
      'json_config.anthropic.api_key': 'sk-ant-canary',
      'json_config.mcp.servers.s.headers.Authorization': 'Bearer canary',
      'json_config.mcp.servers.s.auth.api_key': 'canary-2',
      'json_config.mcp.servers.s.env.BRAVE_API_KEY': 'canary-3',
    })
    expect(JSON.stringify(made)).not.toContain('canary')
    expect(made.definition).toMatchObject({ json_config: { anthropic: { api_key: '***' }, custom: { max_tokens: 5, note: 'plain' } } })
    expect(JSON.stringify([...world.project.written.values()])).not.toContain('canary')
    const rows = [await world.store.read.agents.list({}), await world.store.read.events.list({ after: 0, limit: 100 })]
    expect(JSON.stringify(rows)).not.toContain('canary')
  })

  it.each([
    [{ command: 'sleep 100' }, 'agent.command: must be a list, not text'],
    [{ command: ['sleep', 100] }, 'agent.command.1: must be text, not a number'],
    [{ command: undefined }, 'agent.command: is missing'],
    [{ policy: { restart: 'on_failure' } }, 'agent.policy.restart: must be one of always, on-failure, never'],
    [{ policy: { stop_grace: '10s' } }, 'agent.policy.stop_grace: must be a number, not text'],
    [{ kind: 'comand' }, 'agent.kind: must be one of team, command'],
    [{ limits: { memory_bytes: 512 } }, 'agent.limits.memory_bytes: is in bytes, at least 1048576 (1 MiB)'],
    [{ user: 'bob' }, "agent: unknown key 'user'"],
  ])('says of %j what it must be', async (wrong, message) => {
    const world = await CoreWorld.open()
    const agent = { kind: 'command', owner: 'alice', name: 'job', command: ['sleep', '1'], ...wrong }
    await expect(world.call('agents.create', { agent })).rejects.toMatchObject({ code: 'INVALID', message })
  })

  it('refuses a taken name and leaves what was there', async () => {
    const world = await CoreWorld.open()
    await world.call('agents.create', team({ default_model: 'one' }))
    await expect(world.call('agents.create', team({ default_model: 'two' }))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    expect(world.project.written.get('alice/news')?.definition).toMatchObject({ json_config: { default_model: 'one' } })
  })

  it('lets one of many at once have the name', async () => {
    const world = await CoreWorld.open()
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => world.call('agents.create', team({}))))
    expect(all.filter((one) => one.status === 'fulfilled')).toHaveLength(1)
    expect(world.project.written.size).toBe(1)
  })

  it('has one effect under one idempotency key', async () => {
    const world = await CoreWorld.open()
    const first = await world.call<{ id: string }>('agents.create', team({}), admin, 'k')
    expect((await world.call<{ id: string }>('agents.create', team({}), admin, 'k')).id).toBe(first.id)
    expect(world.project.written.size).toBe(1)
  })

  it('belongs to the caller, and nobody creates for another', async () => {
    const world = await CoreWorld.open()
    const command = { kind: 'command', name: 'x', command: ['true'] }
    expect(await world.call('agents.create', { agent: command }, userCalled('bob'))).toMatchObject({ owner: 'bob' })
    await expect(world.call('agents.create', { agent: { ...command, owner: 'alice' } }, userCalled('bob'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it("stops at a user's quota, with what to do", async () => {
    const world = await CoreWorld.open()
    const create = (name: string) => world.call('agents.create', { agent: { kind: 'command', name, command: ['true'] } }, userCalled('bob'))
    for (const name of ['a', 'b', 'c']) await create(name)
    await expect(create('d')).rejects.toMatchObject({ code: 'TOO_MANY', hint: expect.stringContaining('delete') })
    expect(world.project.written.size).toBe(3)
  })

  it.each([
    ['a name with a path in it', { name: '../x' }, 'agent.name'],
    ['a reserved name', { name: 'available' }, 'agent.name'],
    ['subagents that are no list', { subagents: {} }, 'agent.subagents'],
    ['a subagent without a name', { subagents: [{ instruction: 'x' }] }, 'agent.subagents.0.name'],
    [
      'two subagents of one name',
      {
        subagents: [
          { name: 'X', instruction: '' },
          { name: 'x', instruction: '' },
        ],
      },
      'agent.subagents.1.name',
    ],
    ['an unknown backend', { json_config: { pubsub_config: { backend: 'pigeon' } } }, 'agent.json_config.pubsub_config.backend'],
    ['a state', { state: 'RUNNING' }, 'agent'],
    [
      'a time that is no number',
      { json_config: { mcp: { servers: { s: { tool_calls: [{ name: 'x', time_to_confirm: 'soon' }] } } } } },
      'agent.json_config.mcp.servers.s.tool_calls.0.time_to_confirm',
    ],
  ])('refuses %s and names the field', async (_what, more, path) => {
    const world = await CoreWorld.open()
    await expect(world.call('agents.create', team({}, more))).rejects.toMatchObject({ code: 'INVALID', fields: [{ path }] })
    expect(world.project.written.size).toBe(0)
    expect((await world.store.read.agents.list({})).length).toBe(0)
  })
})

describe('changing an agent', () => {
  it('[I2-TEAM-07] takes effect at the next start, and says so', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await world.running(id)
    const changed = await world.call<{ revision: number; running_revision: number; notes: string[] }>('agents.update', {
      agent: id,
      definition: { initial_task: 'new' },
    })
    expect(changed).toMatchObject({ revision: 2, running_revision: 1 })
    expect(changed.notes[0]).toContain('takes effect at its next start')
    await world.call('agents.restart', { agent: id, wait: true })
    expect(await world.call('agents.get', { agent: id })).toMatchObject({ revision: 2, running_revision: 2, notes: [] })
  })

  it('keeps secrets that are given back as ***, and replaces those that are given anew', async () => {
    const world = await CoreWorld.open()
    const made = await world.call<{ id: string; definition: { json_config: object } }>('agents.create', team(secretive))
    await world.call('agents.update', {
      agent: made.id,
      definition: { json_config: { ...made.definition.json_config, anthropic: { api_key: 'sk-new' } } },
    })
    const kept = await world.secrets.get(made.id)
    expect(kept['json_config.anthropic.api_key']).toBe('sk-new')
    expect(kept['json_config.mcp.servers.s.auth.api_key']).toBe('canary-2')
  })

  it('refuses a change of a revision that is not the present one', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await world.call('agents.update', { agent: id, policy: { startretries: 1 }, if_revision: 1 })
    await expect(world.call('agents.update', { agent: id, policy: { startretries: 2 }, if_revision: 1 })).rejects.toMatchObject({
      code: 'STALE',
    })
  })

  it('[I2-TEAM-07] applies: creates, changes, or finds nothing to do', async () => {
    const world = await CoreWorld.open()
    const outcomes = []
    for (const config of [{ a: 1 }, { a: 1 }, { a: 2 }])
      outcomes.push((await world.call<{ outcome: string }>('agents.apply', team(config))).outcome)
    expect(outcomes).toEqual(['created', 'unchanged', 'changed'])
  })

  it('refuses an invalid definition and leaves the old one', async () => {
    const world = await CoreWorld.open()
    const id = await world.team()
    await expect(world.call('agents.update', { agent: id, definition: { subagents: 'none' } })).rejects.toMatchObject({ code: 'INVALID' })
    expect(await world.call('agents.get', { agent: id })).toMatchObject({ revision: 1 })
  })
})

describe('finding an agent', () => {
  it('goes by id, id prefix, owner/name and a name that is unique', async () => {
    const world = await CoreWorld.open()
    const id = await world.team('news', 'alice')
    for (const ref of [id, id.slice(0, 8), 'alice/news', 'news'])
      expect(await world.call('agents.get', { agent: ref })).toMatchObject({ id })
    await world.team('news', 'bob')
    await expect(world.call('agents.get', { agent: 'news' })).rejects.toMatchObject({
      code: 'AMBIGUOUS',
      message: expect.stringContaining('alice/news, bob/news'),
    })
    expect(await world.call('agents.get', { agent: 'news' }, userCalled('bob'))).toMatchObject({ owner: 'bob' })
  })

  it('lists in pages, in order', async () => {
    const world = await CoreWorld.open()
    for (const name of ['c', 'a', 'b']) await world.team(name)
    const first = await world.call<{ agents: { name: string }[]; next_cursor: string }>('agents.list', { limit: 2 })
    const second = await world.call<{ agents: { name: string }[]; next_cursor: null }>('agents.list', {
      limit: 2,
      cursor: first.next_cursor,
    })
    expect([...first.agents, ...second.agents].map((agent) => agent.name)).toEqual(['a', 'b', 'c'])
    expect(second.next_cursor).toBeNull()
    await expect(world.call('agents.list', { cursor: '!!' })).rejects.toMatchObject({ code: 'INVALID' })
  })
})

describe('tokens', () => {
  it('[I2-TOK-01] name their holder and role until they are revoked, and are shown once', async () => {
    const world = await CoreWorld.open()
    const made = await world.call<{ id: string; token: string }>('tokens.create', { user: 'alice', role: 'read-only' })
    expect(await world.core.identity.byToken(made.token, 'http')).toMatchObject({ user: 'alice', role: 'read-only', via: 'http' })
    expect(await world.core.identity.byToken('admin-token', 'http')).toMatchObject({ role: 'admin' })
    expect(JSON.stringify(await world.call('tokens.list', {}))).not.toContain(made.token)
    await world.call('tokens.revoke', { token: 'alice' })
    expect(await world.core.identity.byToken(made.token, 'http')).toBeUndefined()
    expect(await world.core.identity.byToken('', 'http')).toBeUndefined()
  })

  it('are the admin’s alone to make', async () => {
    const world = await CoreWorld.open()
    await expect(world.call('tokens.create', { user: 'eve', role: 'admin' }, userCalled('eve'))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })
  })

  it('end the streams that were begun with them when they are revoked', async () => {
    const world = await CoreWorld.open()
    const made = await world.call<{ token: string }>('tokens.create', { user: 'alice' })
    const caller = await world.core.identity.byToken(made.token, 'http')
    if (!caller) throw new Error('the token is not known')
    const stream = world.core.open('events.stream', {}, { caller, signal: new AbortController().signal })[Symbol.asyncIterator]()
    const next = stream.next()
    await world.call('tokens.revoke', { token: 'alice' })
    expect(await next).toMatchObject({ done: true })
  })
})
