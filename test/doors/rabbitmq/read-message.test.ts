import { describe, expect, it } from 'vitest'
import { readCommand, readTask, readTrigger } from '../../../src/doors/rabbitmq/read-message.ts'
import { type Incoming, UNNAMED } from '../../../src/ports/bus.ts'
import { tess } from '../../helpers/agent-bus.ts'

const message = (body: unknown, more: Partial<Incoming> = {}): Incoming => ({
  id: 'm1',
  body: JSON.stringify(body),
  topic: { name: 'agent-manager' },
  attempt: 1,
  ...more,
})
const stop = (more: object = {}) => ({ message_type: 'agent.stop', payload: { agent_id: '7f' }, ...more })
const keyOf = (body: object, more: Partial<Incoming> = {}): string => readCommand(message(body, more)).key
const unnamed = { id: `${UNNAMED}1` }

describe('what makes two messages the same command', () => {
  it('is the message id where the sender gave one', () => {
    expect(keyOf(stop({ correlation_id: 'a' }))).toBe(keyOf(stop({ correlation_id: 'b' })))
    expect(keyOf(stop())).not.toBe(keyOf(stop(), { id: 'm2' }))
    expect(keyOf(stop())).not.toBe(keyOf({ ...stop(), message_type: 'agent.start' }))
  })

  it('is the correlation id without one, with the time that it bears', () => {
    const [early, late] = [stop({ correlation_id: 'a', timestamp: '1' }), stop({ correlation_id: 'a', timestamp: '2' })]
    expect(keyOf(early, unnamed)).toBe(keyOf(early, { id: `${UNNAMED}2` }))
    expect(keyOf(early, unnamed)).not.toBe(keyOf(late, unnamed))
    expect(keyOf(stop(), { ...unnamed, correlationId: 'a' })).toBe(keyOf(stop({ correlation_id: 'a' }), unnamed))
  })

  it('is nothing where the sender gave neither id nor time', () => {
    expect(keyOf(stop(), unnamed)).not.toBe(keyOf(stop(), unnamed))
    expect(keyOf(stop({ timestamp: '1' }), unnamed)).toBe(keyOf(stop({ timestamp: '1' }), unnamed))
  })
})

describe('what a message asks for', () => {
  it('names the field that is wrong, and what to do', () => {
    const create = (more: object) => () => readCommand(message({ message_type: 'agent.create', payload: tess('7f', more) }))
    expect(create({ customer_id: 'a b' })).toThrow(/^payload\.customer_id: must start with a letter or digit/)
    expect(create({ name: '' })).toThrow(/^payload\.name: /)
    expect(create({ config: 'testnet' })).toThrow('payload.config: must be an object, not text')
    expect(create({ agent_id: '../x' })).toThrow(/^payload\.agent_id: must start with/)
    expect(() => readCommand(message(stop({ payload: { agent_id: '7f', sequence: 1.5 } })))).toThrow(/^payload\.sequence: /)
    expect(() => readCommand(message({ ...stop(), payload: 'x' }))).toThrow('payload: must be an object, not text')
    expect(() => readCommand(message('x', { body: '{"message_type":"agent.stop","payload":{"__proto__":{}}}' }))).toThrow('forbidden key')
  })

  it('takes the customer of an event for its agent', () => {
    const { customer_id: _, ...config } = tess('7f')
    const event = { event_id: 'e1', event_type: 'agent.created', source: 'gateway', data: config, customer_id: 'c1' }
    expect(readTrigger(message(event))).toMatchObject({ agentId: '7f', customerId: 'c1', payload: { customer_id: 'c1' } })
    expect(readTrigger(message({ ...event, source: 'agent-manager' }))).toBeUndefined()
  })

  it('says of team.join that it is not there yet', () => {
    expect(() => readTask(message({ message_type: 'team.join', payload: { team_id: 't' } }), '7f')).toThrow('not there yet')
  })
})
