import { randomUUID } from 'node:crypto'
import type { Bus, Incoming, Outgoing, Topic } from '../../src/ports/bus.ts'
import { until } from './until.ts'

export const direct = (name: string): Topic => ({ exchange: 'autogen.direct', exchangeType: 'direct', name })
export const events = (name: string): Topic => ({ exchange: 'autogen.events', exchangeType: 'topic', name })

export interface Answer {
  message_type: string
  agent_id: string
  success: boolean
  status?: string
  error?: string
  code?: string
  correlation_id: string | null
  timestamp: string
}
export interface WireEvent {
  event_id: string
  event_type: string
  source: string
  timestamp: string
  data: Record<string, unknown> & { agent_id: string }
  metadata: object
  correlation_id: string | null
  customer_id: string | null
}

const told = [
  'agent.created',
  'agent.updated',
  'agent.started',
  'agent.stopped',
  'agent.deleted',
  'agent.error',
  'agent.health',
  'agent.heartbeat',
  'admin.agent.stopped',
  'message.sent',
  'message.failed',
]

/** A program of 001's world: sends commands, has answers, hears events. */
export class Customer {
  readonly bus: Bus
  readonly heard: WireEvent[] = []
  readonly messages: Incoming[] = []
  readonly answers: Answer[] = []
  readonly #replies = `replies-${randomUUID()}`

  private constructor(bus: Bus) {
    this.bus = bus
  }

  static async at(bus: Bus): Promise<Customer> {
    const customer = new Customer(bus)
    for (const type of told)
      await bus.subscribe(events(type), async (message) => {
        customer.messages.push(message)
        customer.heard.push(JSON.parse(message.body) as WireEvent)
      })
    await bus.subscribe(
      { exchange: '', name: customer.#replies },
      async ({ body }) => void customer.answers.push(JSON.parse(body) as Answer),
      { group: customer.#replies, queue: { name: customer.#replies, durable: false, exclusive: true } },
    )
    return customer
  }

  /** As it is, without waiting. */
  async sends(body: unknown, more: Partial<Outgoing> = {}, topic = direct('agent-manager')): Promise<void> {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    await this.bus.publish(topic, { id: randomUUID(), body: text, replyTo: this.#replies, ...more })
  }

  /** A command with a correlation id of its own, and its answer. */
  async asks(type: string, payload: object, more: Partial<Outgoing> = {}): Promise<Answer> {
    const correlation = randomUUID()
    const timestamp = new Date().toISOString()
    await this.sends({ message_type: type, payload, timestamp, correlation_id: correlation }, more)
    return this.answerTo(correlation)
  }

  async answerTo(correlation: string): Promise<Answer> {
    const found = () => this.answers.find(({ correlation_id: id }) => id === correlation)
    await until(() => found() !== undefined, `an answer to ${correlation}`, 20_000)
    return found() as Answer
  }

  async hears(type: string, agentId: string, where: (event: WireEvent) => boolean = () => true): Promise<WireEvent> {
    const found = () => this.of(type, agentId).find(where)
    await until(() => found() !== undefined, `${type} of ${agentId}`, 20_000)
    return found() as WireEvent
  }

  of(type: string, agentId: string): WireEvent[] {
    return this.heard.filter(({ event_type, data }) => event_type === type && data.agent_id === agentId)
  }
}

export const tess = (agentId: string, more: object = {}) => ({
  agent_id: agentId,
  customer_id: 'c1',
  agent_type: 'trading',
  name: 'Tess',
  config: { testnet: true },
  autogen_config: { temperature: 0.2 },
  ...more,
})
