import { describe, expect, it } from 'vitest'
import { agentPrograms, groupOf, programOf, specOf } from '../../../src/doors/supervisor-rpc/programs.ts'
import { newAgent } from '../../helpers/fake-core.ts'

async function programs(...names: [owner: string, name: string][]) {
  const agents = names.map(([owner, name]) => newAgent(owner, name))
  return agentPrograms(async (_, input) => {
    const { cursor = '0' } = input as { cursor?: string }
    const end = Number(cursor) + 2
    return { agents: agents.slice(Number(cursor), end), next_cursor: end < agents.length ? String(end) : null }
  })
}

describe('program names', () => {
  it('are computed over every page, in their order', async () => {
    const all = await programs(['bob', 'x'], ['alice', 'news'], ['alice', 'a_b'])
    expect(all.map(specOf)).toEqual(['alice_a_b_agent', 'alice_news_agent', 'bob_x_agent'])
  })

  it('lead to an agent: the program, owner/name, a unique name, each twice over', async () => {
    const all = await programs(['alice', 'news'], ['bob', 'x'], ['alice', 'x'])
    for (const spec of ['alice_news_agent', 'alice/news', 'news', 'news:news', 'alice_news_agent:alice_news_agent'])
      expect(programOf(all, spec).agent).toMatchObject({ owner: 'alice', name: 'news' })
    expect(groupOf(all, 'news')).toHaveLength(1)
    expect(() => programOf(all, 'x')).toThrow('BAD_NAME: x could be alice_x_agent, bob_x_agent')
    for (const spec of ['', 'nobody', 'alice_news', 'news_agent', 'alice/', 'alice_news_agent:bob_x_agent', '__proto__'])
      expect(() => programOf(all, spec)).toThrow(`BAD_NAME: ${spec}`)
    expect(() => programOf(all, 'news:*')).toThrow('is a group')
  })

  it('that two agents share are a group of both', async () => {
    const all = await programs(['a_b', 'c'], ['a', 'b_c'])
    expect(all.map(specOf)).toEqual(['a_b_c_agent:a/b_c', 'a_b_c_agent:a_b/c'])
    expect(programOf(all, 'a_b_c_agent:a/b_c').agent).toMatchObject({ owner: 'a', name: 'b_c' })
    expect(programOf(all, 'a_b/c').agent).toMatchObject({ owner: 'a_b', name: 'c' })
    expect(groupOf(all, 'a_b_c_agent')).toHaveLength(2)
    expect(() => programOf(all, 'a_b_c_agent')).toThrow('could be')
  })

  it('agent_manager is Regent itself', async () => {
    expect(programOf(await programs(['me', 'agent_manager']), 'agent_manager').agent).toBeNull()
  })
})
