import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentDetail, messageView } from '../../helpers/views.ts'

const reply = messageView({ id: 'reply', direction: 'out', type: 'assistant', content: 'All is well', final: true })

const talking = () =>
  fakeRegent({
    'messages.send': ({ content, wait, id }) => ({ message: messageView({ id: String(id), content }), reply: wait ? reply : null }),
  })

describe('regent send', () => {
  it('sends and returns at once', async () => {
    const regent = await talking()
    const { code, stdout, stderr } = await regent.run(['send', 'news', 'how', 'are', 'you?'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^sent to alice\/news \(message [0-9a-f]{8}\)\n$/)
    expect(regent.api.requests.map(({ input }) => input)).toEqual([{ agent: 'news', content: 'how are you?', id: expect.any(String) }])
  })

  it('[I2-CLI-07] waits for the reply, and prints its text or the whole message', async () => {
    const regent = await talking()
    expect(await regent.run(['send', 'news', 'hello', '--wait'])).toEqual({ code: 0, stdout: 'All is well\n', stderr: '' })
    const { stdout } = await regent.run(['send', 'news', 'hello', '--wait', '--json', '--timeout', '5s', '--conversation', 'side'])
    expect(JSON.parse(stdout)).toEqual(reply)
    const [sent, waited] = regent.api.requests.slice(-2).map(({ input }) => input)
    expect(waited).toEqual({ ...sent, wait: true, timeout: 5000 })
    expect(sent).toMatchObject({ conversation: 'side' })
  })

  it('waits on while Regent is away, with the same message', async () => {
    const regent = await talking()
    let asked = 0
    regent.api.on('messages.send', ({ id, wait }) => {
      if (wait && ++asked === 1) regent.api.cut()
      return { message: messageView({ id: String(id) }), reply: wait ? reply : null }
    })
    const { code, stdout, stderr } = await regent.run(['send', 'news', 'hello', '--wait'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'All is well\n' })
    expect(stderr).toMatch(/\(the connection was cut\); the message is kept there, and asked for again\n$/)
    expect(new Set(regent.api.requests.filter(({ operation }) => operation === 'messages.send').map(({ input }) => input.id)).size).toBe(1)
  })

  it('reads the text from stdin and prints the message as JSON', async () => {
    const regent = await talking()
    const { stdout } = await regent.run(['send', 'news', '-', '--json'], { stdin: 'line one\nline two' })
    expect(JSON.parse(stdout)).toMatchObject({ content: 'line one\nline two', agent: 'alice/news' })
  })

  it('says that a message to a stopped agent waits, and how to start it', async () => {
    const regent = await talking()
    regent.api.on('messages.send', () => ({ message: messageView({ state: 'queued' }), reply: null }))
    regent.api.on('agents.get', () => agentDetail({ state: 'STOPPED', desired: 'stopped', pid: null }))
    const { code, stderr } = await regent.run(['send', 'news', 'hello'])
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: 'alice/news is STOPPED, so the message waits; start it with: regent start alice/news\n',
    })
  })

  it('[I2-CLI-13] exits with 124 when there is no reply in time, 4 for an unknown agent, 2 for nothing to send', async () => {
    const regent = await talking()
    regent.api.on('messages.send', ({ wait }) => {
      if (wait) throw new RegentError('TIMED_OUT', 'no reply within 1 s')
      return { message: messageView(), reply: null }
    })
    expect((await regent.run(['send', 'news', 'hello', '--wait', '--timeout', '1s'])).code).toBe(124)
    expect((await regent.run(['send', 'news', ' '])).code).toBe(2)
    regent.api.on('messages.send', () => {
      throw new RegentError('NOT_FOUND', 'there is no agent newz')
    })
    regent.api.on('agents.list', () => ({ agents: [agentDetail()], next_cursor: null }))
    const unknown = await regent.run(['send', 'newz', 'hello'])
    expect(unknown.code).toBe(4)
    expect(unknown.stderr).toContain('did you mean news?')
  })

  it('lets no reply move the cursor, but keeps its lines and colours', async () => {
    const regent = await talking()
    regent.api.on('messages.send', () => ({ message: messageView(), reply: messageView({ content: 'a\x1b[2Jb\x1b[31mc\n\td\x07' }) }))
    expect((await regent.run(['send', 'news', 'x', '--wait'])).stdout).toBe('ab\x1b[31mc\n\td\n')
  })
})
