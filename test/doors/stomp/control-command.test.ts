import { describe, expect, it } from 'vitest'
import { readControlMessage } from '../../../src/doors/stomp/control-command.ts'

const own = ['/queue/testbed.ann.control', '/queue/agent_control.ann']
const read = (value: unknown) => readControlMessage(typeof value === 'string' ? value : JSON.stringify(value), own)

describe('a message on the control queue', () => {
  it('is a command with a place for the answer, or without one', () => {
    expect(read({ command: 'status', reply_to: '/queue/testbed.ann.reply' })).toEqual({
      command: 'status',
      named: 'status',
      replyTo: '/queue/testbed.ann.reply',
      problem: undefined,
    })
    expect(read({ command: 'start_testbed', config_name: 'testbed.toml', timestamp: '2026-01-02T03:04:05', source: 'mcp' })).toMatchObject({
      command: 'start_testbed',
      replyTo: undefined,
      problem: undefined,
    })
    expect(read({ command: 'restart', reply_to: null })).toMatchObject({ command: 'restart', replyTo: undefined })
  })

  it.each([
    ['', 'JSON object'],
    ['not JSON', 'JSON object'],
    ['[]', 'JSON object'],
    ['{"command":7}', 'no command'],
    ['{}', 'no command'],
    ['{"command":"__proto__"}', "'__proto__' is not known"],
    ['{"command":"ping","__proto__":{}}', '__proto__ is a forbidden key'],
    [`{"command":"ping","x":${'['.repeat(200)}${']'.repeat(200)}}`, 'nested deeper'],
    [JSON.stringify({ command: 'ping', x: 'y'.repeat(70_000) }), 'at most 65536 bytes'],
  ])('is refused in words: %.40s', (body, words) => {
    expect(read(body)).toMatchObject({ command: undefined, problem: expect.objectContaining({ message: expect.stringContaining(words) }) })
  })

  it('is answered even where it is no command, if it says where', () => {
    expect(read({ command: 'dance', reply_to: '/topic/x' })).toMatchObject({ named: 'dance', replyTo: '/topic/x' })
    expect(read({ reply_to: '/topic/x' })).toMatchObject({ named: null, replyTo: '/topic/x' })
  })

  it.each([
    ['testbed.ann.reply', "destination must start with '/queue/' or '/topic/', got: 'testbed.ann.reply'"],
    ['', "destination must start with '/queue/' or '/topic/', got: ''"],
    ['/queue/', 'must start with'],
    ['/exchange/amq.topic/x', 'must start with'],
    [7, "got: '7'"],
    [{}, "got: '{}'"],
    ['/queue/a,/queue/b', 'more than one place'],
    ['/queue/a>', 'more than one place'],
    ['/queue/a\nx:y', 'more than one place'],
    ['/queue/a?consumer.priority=1', 'more than one place'],
    ['/queue/agent_control.ann', 'is the control queue itself'],
  ])('gets no answer at %j', (replyTo, words) => {
    expect(read({ command: 'ping', reply_to: replyTo })).toMatchObject({
      command: undefined,
      replyTo: undefined,
      problem: expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(words) }),
    })
  })
})
