import { describe, expect, it } from 'vitest'
import { parsePlan, planPrompt, resultsText } from '../../src/runner/planner.ts'

const plan = '{"steps":[{"description":"look","tasks":[{"description":"find it","agent":"finder"}]}],"is_complete":false}'
const read = { steps: [{ description: 'look', tasks: [{ description: 'find it', agent: 'finder' }] }], isComplete: false, problems: [] }
const names = ['finder', 'reporter']

describe('reading a plan', () => {
  it.each([
    ['bare', plan],
    ['in a fence', `Here is my plan:\n\`\`\`json\n${plan}\n\`\`\`\nGood luck!`],
    ['in prose', `I think {as one does} this is right: ${plan} and that is all.`],
    ['behind braces in a text', `{"note":"}{ \\" {"} ${plan}`],
  ])('finds it %s', (_where, text) => {
    expect(parsePlan(text, names)).toEqual(read)
  })

  it('finds none where there is none, also in hostile text and fast', () => {
    const begun = performance.now()
    for (const text of ['', 'no plan', '[1,2]', '{"a":1}', '{'.repeat(200_000), '"'.repeat(200_000)])
      expect(parsePlan(text, names)).toBeUndefined()
    expect(performance.now() - begun).toBeLessThan(2_000)
  })

  it('takes names as people write them, and tells of those it does not know', () => {
    const tasks = '[{"description":"a","agent":" Finder "},{"description":"b","agent":"writer"},{"agent":"finder"}]'
    expect(parsePlan(`{"steps":[{"tasks":${tasks}}]}`, names)).toEqual({
      steps: [{ description: '', tasks: [{ description: 'a', agent: 'finder' }] }],
      isComplete: false,
      problems: ['there is no agent "writer"; the agents are finder, reporter', 'a task without "description" and "agent" was left out'],
    })
  })

  it('bounds what a plan may hold', () => {
    const tasks = Array.from({ length: 50 }, () => ({ description: 'x', agent: 'finder' }))
    const steps = Array.from({ length: 40 }, () => ({ description: 's', tasks }))
    const bounded = parsePlan(JSON.stringify({ steps, is_complete: false }), names)
    expect(bounded?.steps).toHaveLength(20)
    expect(bounded?.steps[0]?.tasks).toHaveLength(32)
    expect(bounded?.problems[0]).toContain('20 steps')
  })
})

describe('the planner’s prompt', () => {
  const team = [{ name: 'finder', instruction: 'You find things.', servers: ['fetch'] }]

  it('shows the objective, the agents with their instruction, and the shape of a plan [I2-TEAM-02]', () => {
    const prompt = planPrompt('the price of gold', team, [], [], 100_000)
    for (const part of [
      'the price of gold',
      'finder',
      'You find things.',
      '{"steps":[{"description","tasks":[{"description","agent"}]}],"is_complete":bool}',
      'No step has been done yet.',
    ])
      expect(prompt).toContain(part)
  })

  it('ends with the progress and with what was wrong before', () => {
    const prompt = planPrompt('x', team, [{ agent: 'finder', task: 'find it', text: 'gold is at 1' }], ['no such agent'], 100_000)
    expect(prompt.indexOf('gold is at 1')).toBeGreaterThan(prompt.indexOf('"is_complete"'))
    expect(prompt).toMatch(/problems:\n- no such agent$/)
  })

  it('stays within its room, whatever the objective and the results', () => {
    const results = Array.from({ length: 30 }, (_, index) => ({ agent: 'finder', task: 't', text: `${index} ${'y'.repeat(50_000)}` }))
    const prompt = planPrompt('z'.repeat(1_000_000), team, results, [], 100_000)
    expect(prompt.length).toBeLessThan(90_000)
    expect(resultsText(results, 20_000)).toContain('29 yyy')
  })
})
