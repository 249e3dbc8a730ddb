import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { listenerEvent } from '../../src/contract/envelopes.ts'
import { RegentError } from '../../src/kernel/errors.ts'
import type { Incoming } from '../../src/ports/bus.ts'
import { fakeModels, lastText } from '../helpers/fake-models.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { LinkServer } from '../helpers/link-server.ts'
import { SharedBroker } from '../helpers/shared-bus.ts'
import { type RunnerSetup, startRunner } from '../helpers/team-runner.ts'
import { until } from '../helpers/until.ts'

const echo = () => fakeModels((request) => `re ${lastText(request)}`)
const prompt = (content: string, id: string = randomUUID()) => ({ id, body: JSON.stringify({ type: 'user', content }) })

/** A runner whose channel is at a broker in this process, and what is said on each topic of the broker. */
async function onKafka(setup: Partial<RunnerSetup> = {}, broker = new SharedBroker()) {
  const heard = await recorded(broker, ['in_c', 'in_agent_c'])
  const kafka = { bootstrap_servers: ['h:1'], topic_prefix: 'in_' }
  const config = { pubsub_enabled: true, pubsub_config: { backend: 'kafka', channel_name: 'c', kafka } }
  const channel = { defaults: {}, refused: false, openBroker: async () => broker.client() }
  const start = () => startRunner({ models: echo(), config, channel, ...setup })
  return { broker, heard, start, runner: await start() }
}

async function recorded(broker: SharedBroker, topics: readonly string[]): Promise<Map<string, Incoming[]>> {
  const heard = new Map<string, Incoming[]>()
  for (const name of topics) {
    const all: Incoming[] = []
    heard.set(name, all)
    await broker.bus.subscribe({ name }, async (message) => void all.push(message))
  }
  return heard
}

const said = (messages: readonly Incoming[] | undefined, type: string) =>
  (messages ?? []).map((one) => ({ id: one.id, ...JSON.parse(one.body) })).filter((one) => one.type === type)
const listening = async ({ bus }: SharedBroker, name: string) =>
  until(async () => (await bus.lag()).some((one) => one.topic === name && one.group?.startsWith('regent-agent-1')), `the agent on ${name}`)

describe('the channel of an agent at a broker', () => {
  it('takes prompts, answers in envelopes on the other topic, and ignores the rest', async () => {
    const { broker, heard, runner } = await onKafka()
    await listening(broker, 'in_c')
    for (const body of ['{"type":"assistant","content":"x"}', '[1]', '{"type":"info","message":"x"}', ''])
      await broker.bus.publish({ name: 'in_c' }, { id: randomUUID(), body })
    await broker.bus.publish({ name: 'in_agent_c' }, prompt('not here'))
    await broker.bus.publish({ name: 'in_c' }, prompt('How is ETH?'))
    await broker.bus.publish({ name: 'in_c' }, { id: 'plain', body: 'plain words' })
    await until(() => said(heard.get('in_agent_c'), 'assistant').length === 2, 'the answers')
    expect(said(heard.get('in_agent_c'), 'assistant')).toMatchObject([
      { content: 're How is ETH?', channel_id: 'agent_c', metadata: { title: 'ASSISTANT', name: 'crew' } },
      { content: 're plain words' },
    ])
    expect(said(heard.get('in_agent_c'), 'user').map((one) => one.content)).toEqual(['not here', 'How is ETH?', 'plain words'])
    expect(runner.conditions.list()).toEqual([])
  })

  it('takes a message once, however often the broker brings it', async () => {
    const { broker, heard, runner } = await onKafka()
    await listening(broker, 'in_c')
    for (let at = 0; at < 3; at++) await broker.bus.publish({ name: 'in_c' }, prompt('once', 'same'))
    await broker.bus.publish({ name: 'in_c' }, prompt('last'))
    await until(() => said(heard.get('in_agent_c'), 'assistant').length === 2, 'the answers')
    expect(said(heard.get('in_agent_c'), 'assistant').map((one) => one.content)).toEqual(['re once', 're last'])
    expect(runner.journal.state.knows('heard:agent-1:in_c:same')).toBe(true)
    expect(heard.get('in_agent_c')?.[0]?.correlationId).toBe('same')
  })

  it('tells Regent what it heard, before anything that it did about it', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir)
    const { broker } = await onKafka({ runDir })
    await listening(broker, 'in_c')
    await broker.bus.publish({ name: 'in_c' }, { id: 'm', body: JSON.stringify({ type: 'user', content: 'hi', metadata: { name: 'x' } }) })
    await until(() => regent.taken.of('done').length === 1, 'the work to end')
    const id = 'heard:agent-1:in_c:m'
    expect(regent.taken.of('heard')).toEqual([
      { kind: 'heard', message_id: id, conversation: 'main', sender: 'channel', content: 'hi', metadata: { name: 'x' }, via: 'in_c' },
    ])
    expect(regent.taken.rows[0]?.body.kind).toBe('heard')
    expect(regent.taken.finals(id)).toHaveLength(1)
    expect(regent.problems).toEqual([])
  })

  it('tells Regent no row that its link or its store would refuse, which would hold up all that come after it', async () => {
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir)
    const { broker } = await onKafka({ runDir })
    await listening(broker, 'in_c')
    await broker.bus.publish({ name: 'in_c' }, { id: 'large', body: '\u0001'.repeat(1024 * 1024) })
    await broker.bus.publish({ name: 'in_c' }, { id: `nul\0${'x'.repeat(50_000)}`, body: 'an odd id' })
    await broker.bus.publish(
      { name: 'in_c' },
      { id: 'many', body: `{"type":"user","content":"numbers","metadata":{"n":[1${',1e20'.repeat(190_000)}]}}` },
    )
    await until(() => regent.taken.of('done').length === 3, 'the work to end')
    const heard = regent.taken.of('heard') as { message_id: string }[]
    expect(heard.every((one) => JSON.stringify(one).length < 3.5 * 1024 * 1024 && one.message_id.length < 500)).toBe(true)
    expect(heard[1]?.message_id).toMatch(/^heard:agent-1:in_c:[0-9a-f]{64}$/)
    expect(regent.problems).toEqual([])
  })

  it('says what it could not say as soon as the broker is back, in order, and again over a restart', async () => {
    const stateDir = join(temporaryFolder(), 'state')
    const { broker, heard, runner, start } = await onKafka({ stateDir })
    await listening(broker, 'in_c')
    broker.tell(false, 'ECONNREFUSED')
    expect(runner.conditions.list()).toMatchObject([{ type: 'broker', subject: 'kafka' }])
    expect(runner.conditions.list()[0]?.message).toContain('kafka at h:1 cannot be reached (ECONNREFUSED)')
    for (const content of ['one', 'two']) await broker.bus.publish({ name: 'in_c' }, prompt(content))
    await until(() => runner.idle, 'the work')
    expect(heard.get('in_agent_c')).toEqual([])
    await runner.stop()
    await start()
    broker.tell(true)
    await until(() => said(heard.get('in_agent_c'), 'assistant').length === 2, 'the answers')
    expect(said(heard.get('in_agent_c'), 'assistant').map((one) => one.content)).toEqual(['re one', 're two'])
    expect(new Set(heard.get('in_agent_c')?.map((one) => one.id)).size).toBe(heard.get('in_agent_c')?.length)
  })

  it('says under the same id, and once more, what the broker refused for a moment', async () => {
    const { broker, heard, runner } = await onKafka()
    await listening(broker, 'in_c')
    broker.refusals = 1
    await broker.bus.publish({ name: 'in_c' }, prompt('hi'))
    await until(() => runner.journal.state.unspoken.size === 0, 'all to be said')
    const answers = said(heard.get('in_agent_c'), 'assistant')
    expect(new Set(answers.map((one) => one.id)).size).toBe(1)
  })

  it('says what was on its way behind a row that failed again one after the other, so that it ends in order', async () => {
    const broker = new SharedBroker()
    const order: string[] = []
    let sent: readonly string[] = []
    // The second of the first batch fails, and so does its next try: nothing goes out behind that.
    let failures = 2
    const client = () => {
      const bus = broker.client()
      const { publish } = bus
      bus.publish = async (topic, message, signal) => {
        if (message.id === sent[1] && failures-- > 0) throw new RegentError('UNAVAILABLE', 'the connection broke')
        await publish(topic, message, signal)
        order.push(message.id)
      }
      return bus
    }
    const { runner } = await onKafka({ channel: { defaults: {}, refused: false, openBroker: async () => client() } }, broker)
    await listening(broker, 'in_c')
    broker.tell(false)
    for (const content of ['one', 'two', 'three']) await broker.bus.publish({ name: 'in_c' }, prompt(content))
    await until(() => runner.idle, 'the work')
    sent = runner.journal.state.unspoken.next(Number.POSITIVE_INFINITY, 100).map(({ body }) => (body.kind === 'say' ? body.id : ''))
    expect(sent.length).toBeGreaterThan(3)
    broker.tell(true)
    await until(() => runner.journal.state.unspoken.size === 0, 'all to be said')
    const [first, ...rest] = sent
    expect(order).toEqual([first, ...rest.slice(1), ...rest])
  })

  it('[I4-CH-02] asks on both topics and takes the first answer from either', async () => {
    const { broker, heard, runner } = await onKafka()
    await listening(broker, 'in_agent_c')
    const now = Date.now()
    const call = { subagent: 'finder', server: 'fetch', tool: 'fetch', arguments: { url: 'u' }, default: 'reject' as const }
    const ask = (id: string) => runner.approvals.request({ id, message_id: null, ...call, requested_at: now, expires_at: now + 60_000 })
    await ask('a1')
    await ask('a2')
    for (const topic of ['in_c', 'in_agent_c'])
      await until(() => said(heard.get(topic), 'tool_confirmation_request').length === 2, `the requests on ${topic}`)
    expect(said(heard.get('in_c'), 'tool_confirmation_request')[0]).toMatchObject({
      request_id: 'a1',
      timeout_ms: 60_000,
      tool_name: 'fetch',
    })
    const answer = (request_id: string, confirmed: boolean) => ({
      id: randomUUID(),
      body: JSON.stringify({ type: 'tool_confirmation_response', request_id, confirmed }),
    })
    await broker.bus.publish({ name: 'in_c' }, answer('a1', true))
    await broker.bus.publish({ name: 'in_agent_c' }, answer('a1', false))
    await broker.bus.publish({ name: 'in_agent_c' }, answer('a2', true))
    const { closed } = runner.journal.state
    expect([closed.get('a1'), closed.get('a2')]).toEqual([
      { confirmed: true, by: 'channel' },
      { confirmed: true, by: 'channel' },
    ])
  })

  it('neither listens nor speaks while another owner holds it, and begins when Regent says so', async () => {
    const broker = new SharedBroker()
    const runDir = temporaryFolder()
    const regent = await LinkServer.open(runDir)
    const config = { pubsub_enabled: true, pubsub_config: { backend: 'kafka', kafka: { bootstrap_servers: ['h:1'] } } }
    await startRunner({ models: echo(), runDir, config, channel: { defaults: {}, refused: true, openBroker: async () => broker.client() } })
    await regent.linked()
    expect(await broker.bus.topics()).toEqual([])
    regent.send({ type: 'channel', held: true, topic: 'mcp_agent_crew' })
    await listening(broker, 'mcp_agent_crew')
    regent.send({ type: 'channel', held: true, topic: 'mcp_agent_other' })
    await until(async () => (await broker.bus.topics()).length === 0, 'the agent to leave')
  })

  it.each([
    ['no broker', { backend: 'msk' }, /pubsub_config\.msk\.bootstrap_servers is empty.*MSK_BOOTSTRAP_SERVERS/],
    [
      'an unknown mechanism',
      { backend: 'kafka', kafka: { bootstrap_servers: ['h'], security_protocol: 'SASL_SSL', sasl_mechanism: 'X' } },
      /sasl_mechanism is X/,
    ],
    ['a client that cannot be made', { backend: 'redis' }, /redis at localhost:6379: the ca file is not there/],
  ])('is a condition where its settings are not right: %s', async (_what, pubsub_config, message) => {
    const openBroker = async () => Promise.reject(new RegentError('INVALID', 'the ca file is not there'))
    const runner = await startRunner({
      models: echo(),
      config: { pubsub_enabled: true, pubsub_config },
      channel: { defaults: {}, refused: false, openBroker },
    })
    await until(() => runner.conditions.list().length > 0, 'the condition')
    expect(runner.conditions.list()).toMatchObject([{ type: 'broker', subject: pubsub_config.backend }])
    expect(runner.conditions.list()[0]?.message).toMatch(message)
  })
})

describe('a fleeting channel', () => {
  const config = { pubsub_enabled: true, pubsub_config: { backend: 'redis', channel_name: 'c' } }
  const names = (events: readonly Incoming[] | undefined) =>
    (events ?? [])
      .map(({ body }) => JSON.parse(body))
      .filter((one) => one.namespace === 'regent.channel')
      .map((one) => one.data)

  it('is taken from the announcement on, and left with another: what comes between is taken once', async () => {
    const broker = new SharedBroker()
    const runDir = temporaryFolder()
    await LinkServer.open(runDir)
    const heard = await recorded(broker, ['agent:c', 'agent:agent_c'])
    const channel = { defaults: {}, refused: false, openBroker: async () => broker.client() }
    const runner = await startRunner({ models: echo(), runDir, config, channel })
    await until(() => names(heard.get('agent:c')).length === 1, 'the announcement')
    expect(names(heard.get('agent:c'))).toEqual([{ listener: 'here', run: 'run-1' }])
    await broker.bus.publish({ name: 'agent:c' }, prompt('hi'))
    await until(() => said(heard.get('agent:agent_c'), 'assistant').length === 1, 'the answer')
    await runner.stop()
    expect(names(heard.get('agent:c')).at(-1)).toEqual({ listener: 'gone', run: 'run-1' })
  })

  it("is not taken before the agent's own announcement came back", async () => {
    const broker = new SharedBroker()
    const runDir = temporaryFolder()
    await LinkServer.open(runDir)
    const heard = await recorded(broker, ['agent:agent_c'])
    broker.refusals = 1_000_000
    const channel = { defaults: {}, refused: false, openBroker: async () => broker.client() }
    const runner = await startRunner({ models: echo(), runDir, config, channel })
    await listening(broker, 'agent:c:stream')
    await broker.bus.publish({ name: 'agent:c' }, prompt('early'))
    await broker.bus.publish({ name: 'agent:c' }, { id: 'x', body: JSON.stringify(listenerEvent('here', 'crew', 'run-2', 0)) })
    await broker.bus.publish({ name: 'agent:c' }, prompt('still early'))
    expect(runner.idle).toBe(true)
    broker.refusals = 0
    await broker.bus.publish({ name: 'agent:c' }, { id: 'y', body: JSON.stringify(listenerEvent('here', 'crew', 'run-1', 0)) })
    await broker.bus.publish({ name: 'agent:c' }, prompt('now'))
    await until(() => said(heard.get('agent:agent_c'), 'assistant').length === 1, 'the answer')
    expect(said(heard.get('agent:agent_c'), 'assistant').map((one) => one.content)).toEqual(['re now'])
  })
})
