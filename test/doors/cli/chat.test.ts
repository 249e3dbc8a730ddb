import { describe, expect, it } from 'vitest'
import { Transcript } from '../../../src/doors/cli/chat/transcript.ts'
import { type FakeRegent, fakeRegent } from '../../helpers/run-cli.ts'
import { agentDetail, approvalView, eventView, messageView, systemStatus } from '../../helpers/views.ts'

type Item = { readonly id?: string; readonly data: object }

/** An agent whose journal the test writes while the chat follows it. */
async function chatting(onMessage: (id: string, content: string, tell: (item: object) => void) => void) {
  const waiting: Item[] = []
  let wake = () => {}
  let number = 7
  const tell = (item: object) => {
    waiting.push({ id: `${++number}`, data: item })
    wake()
  }
  const regent: FakeRegent = await fakeRegent({
    'agents.get': () => agentDetail({ kind: 'team' }),
    'system.status': () => systemStatus(),
    'messages.send': ({ id, content }) => {
      setImmediate(() => onMessage(String(id), String(content), tell))
      return { message: messageView({ id: String(id), content }), reply: null }
    },
    async *'events.stream'() {
      for (;;) {
        yield* waiting.splice(0)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  })
  return { regent, tell }
}

const event = (type: string, data: object) => ({
  kind: 'event',
  event: eventView({ type: type as 'run.exited', data: data as Record<string, unknown> }),
})
const said = (id: string, content: unknown, rest: object = {}) =>
  event('message.sent', { id: 'x', type: 'assistant', author: 'news', reply_to: id, final: true, conversation: 'main', content, ...rest })
const delta = (id: string, text: string, author = 'news') => ({
  kind: 'delta',
  agent: 'alice/news',
  agent_id: 'a',
  message_id: id,
  author,
  text,
})

describe('regent chat with a pipe', () => {
  it('sends line after line, each after the answer to the one before, and ends with the input', async () => {
    const { regent } = await chatting((id, content, tell) => {
      tell(delta(id, 'You said '))
      tell(delta(id, content))
      tell(said(id, `You said ${content}`))
      tell(event('message.acknowledged', { id }))
    })
    const { code, stdout, stderr } = await regent.run(['chat', 'news'], { stdin: 'one\n\ntwo\n' })
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: 'news> You said one\nnews> You said two\n', stderr: '' })
    expect(regent.api.requests.filter(({ operation }) => operation === 'messages.send').map(({ input }) => input.conversation)).toEqual([
      'main',
      'main',
    ])
    const stream = regent.api.requests.find(({ operation }) => operation === 'events.stream')
    expect(stream?.input).toMatchObject({ deltas: 'true' })
    expect(stream?.headers['last-event-id']).toBe('7')
  })

  it('[I2-CLI-08] shows tool calls and results, and asks for approvals inline', async () => {
    const approval = { ...approvalView(), subagent: 'finder' }
    const { regent, tell } = await chatting((id, _, told) => {
      told(said(id, { tool_name: 'fetch', tool_args: { url: 'u' } }, { type: 'tool_call', final: false, author: 'finder' }))
      told(event('approval.requested', approval))
    })
    regent.api.on('approvals.approve', ({ id }) => {
      const [sent] = regent.api.requests.filter(({ operation }) => operation === 'messages.send')
      const message = String(sent?.input.id)
      tell(event('approval.answered', { id, confirmed: true, by: 'alice', tool: 'fetch' }))
      tell(
        said(
          message,
          { content: [{ type: 'text', text: 'page\nbody' }], isError: false },
          { type: 'tool_result', final: false, author: 'finder' },
        ),
      )
      tell(said(message, 'done'))
      tell(event('message.acknowledged', { id: message }))
      return approvalView({ id: String(id), state: 'confirmed' })
    })
    const { code, stdout } = await regent.run(['chat', 'news'], { stdin: 'look\nperhaps\ny\n' })
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: [
        '  finder calls fetch {"url":"u"}',
        'finder wants to run fetch.fetch {"url":"https://example.org"}',
        'fetch: approved by alice',
        '  finder got page body',
        'news> done',
        '',
      ].join('\n'),
    })
  })

  it('goes on after a message that was given up, and tells the reason', async () => {
    const { regent } = await chatting((id, content, tell) => {
      if (content === 'bad') tell(event('message.dead', { id, reason: 'failed five times' }))
      else tell(event('message.acknowledged', { id }))
    })
    const { code, stdout } = await regent.run(['chat', 'news'], { stdin: 'bad\ngood\n/help\n/exit\nnever\n' })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^given up: failed five times\n\/exit or Ctrl-D leaves; .*\n$/)
    expect(regent.api.requests.filter(({ operation }) => operation === 'messages.send')).toHaveLength(2)
  })

  it('says that messages wait while the agent is stopped', async () => {
    const { regent } = await chatting((id, _, tell) => tell(event('message.acknowledged', { id })))
    regent.api.on('agents.get', () => agentDetail({ state: 'STOPPED', pid: null }))
    expect((await regent.run(['chat', 'news'], { stdin: '' })).stderr).toContain('start it with: regent start alice/news')
  })
})

describe('Transcript', () => {
  const written = (use: (transcript: Transcript) => void) => {
    let text = ''
    use(
      new Transcript(
        (piece) => (text += piece),
        (_, plain) => plain,
      ),
    )
    return text
  }
  const answer = (author: string, content: string) => ({ type: 'assistant', author, content })

  it('never mixes two that speak at once: the second is shown whole', () => {
    const text = written((transcript) => {
      transcript.delta({ author: 'a', text: 'one ' })
      transcript.delta({ author: 'b', text: 'xx' })
      transcript.delta({ author: 'a', text: 'two' })
      transcript.said(answer('b', 'xx yy'))
      transcript.said(answer('a', 'one two'))
    })
    expect(text).toBe('a> one two\nb> xx yy\n')
  })

  it('goes on after an interruption without saying anything twice', () => {
    const text = written((transcript) => {
      transcript.delta({ author: 'a', text: 'one ' })
      transcript.said({ type: 'tool_call', author: 'b', content: { tool_name: 't', tool_args: {} } })
      transcript.delta({ author: 'a', text: 'two' })
      transcript.said(answer('a', 'one two'))
      transcript.said(answer('a', 'three'))
    })
    expect(text).toBe('a> one \n  b calls t {}\na> two\na> three\n')
  })

  it('says the whole answer where the pieces were begun anew', () => {
    const text = written((transcript) => {
      transcript.delta({ author: 'a', text: 'Once up' })
      transcript.said(answer('a', 'In the beginning'))
    })
    expect(text).toBe('a> Once up\na> In the beginning\n')
  })

  it('adds what was not streamed', () => {
    const text = written((transcript) => {
      transcript.delta({ author: 'a', text: 'Hello' })
      transcript.said(answer('a', 'Hello\n\nwith a notice'))
    })
    expect(text).toBe('a> Hello\n\nwith a notice\n')
  })
})
