import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent, runCli } from '../../helpers/run-cli.ts'

const message = { id: 'm1', topic: 't', body: '{"type":"user"}', key: null, content_type: null, headers: {}, attempt: 1 }

const talking = () =>
  fakeRegent({
    'bus.publish': ({ topic, broker, agent }) => ({
      id: 'm1',
      topic: agent ? 'agent:news' : String(topic),
      broker: agent ? 'redis' : String(broker ?? 'bus'),
    }),
    async *'bus.tail'() {
      yield { data: message }
    },
  })

describe('regent bus publish and tail', () => {
  it('publishes what is given, byte for byte, and follows a topic', async () => {
    const regent = await talking()
    expect((await regent.run(['bus', 'publish', 't', '{"type": "user"}', '--key', 'k'])).stdout).toBe('published on t (m1)\n')
    await regent.run(['bus', 'publish', 't', '-'], { stdin: 'plain text' })
    await regent.run(['bus', 'publish', 't'], { stdin: 'plain text' })
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      { topic: 't', message: '{"type": "user"}', key: 'k', content_type: 'application/json' },
      { topic: 't', message: 'plain text' },
      { topic: 't', message: 'plain text' },
    ])
    expect((await regent.run(['bus', 'tail', 't'])).stdout).toBe('{"type":"user"}\n')
    expect(JSON.parse((await regent.run(['bus', 'tail', 't', '--json'])).stdout)).toEqual(message)
  })

  it('names broker, exchange, headers and the rest', async () => {
    const regent = await talking()
    const { stdout } = await regent.run(
      'bus publish start_agent hi --broker rabbitmq --exchange agent.commands --id i --header a=b --header c=d=e --content-type text/plain'.split(
        ' ',
      ),
    )
    expect(stdout).toBe('published on start_agent at rabbitmq (m1)\n')
    await regent.run('bus publish agent:news hi --broker redis --fleeting'.split(' '))
    await regent.run('bus tail agent_news --broker redis --from earliest --group g'.split(' '))
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      {
        ...{ topic: 'start_agent', broker: 'rabbitmq', exchange: 'agent.commands', message: 'hi', id: 'i' },
        ...{ headers: { a: 'b', c: 'd=e' }, content_type: 'text/plain' },
      },
      { topic: 'agent:news', broker: 'redis', fleeting: true, message: 'hi' },
      { topic: 'agent_news', broker: 'redis', from: 'earliest', group: 'g' },
    ])
  })

  it('speaks on the channel of an agent and hears it there', async () => {
    const regent = await talking()
    expect((await regent.run(['bus', 'publish', '--agent', 'alice/news', 'How is ETH?'])).stdout).toBe(
      'published on agent:news at redis (m1)\n',
    )
    await regent.run(['bus', 'publish', '--agent', 'news', '{"type":"user","content":"x"}'])
    await regent.run(['bus', 'tail', '--agent', 'news'])
    expect(regent.api.requests.map(({ input }) => input)).toEqual([
      { agent: 'alice/news', message: 'How is ETH?' },
      { agent: 'news', message: { type: 'user', content: 'x' } },
      { agent: 'news' },
    ])
  })

  it("takes MSK_TOPIC_NAME and MSK_CONSUMER_GROUP, or 000's defaults, where no topic is given for Kafka", async () => {
    const regent = await talking()
    const env = { MSK_TOPIC_NAME: 'mine', MSK_CONSUMER_GROUP: 'us' }
    await regent.run(['bus', 'publish', '--broker', 'kafka', '{"a":1}'], { env })
    await regent.run(['bus', 'publish', '--broker', 'kafka'], { stdin: 'hello' })
    await regent.run(['bus', 'publish', '--broker', 'kafka', 'named', 'hello'], { env })
    await regent.run(['bus', 'tail', '--broker', 'kafka'], { env })
    await regent.run(['bus', 'tail', '--broker', 'kafka'])
    await regent.run(['bus', 'tail', 'named', '--broker', 'kafka'], { env })
    expect(regent.api.requests.map(({ input: { topic, group } }) => [topic, group])).toEqual([
      ['mine', undefined],
      ['my-test-topic', undefined],
      ['named', undefined],
      ['mine', 'us'],
      ['my-test-topic', 'my-consumer-group'],
      ['named', undefined],
    ])
  })

  it.each([
    [['publish'], 'no topic was given'],
    [['tail'], 'no topic was given'],
    [['publish', 't', 'm', '--agent', 'news'], '--agent and a topic were both given'],
    [['tail', 't', '--agent', 'news'], '--agent and a topic were both given'],
    [['publish', 't', 'm', '--header', 'x'], "'x' is no header"],
    [['publish', 't', 'm', '--broker', 'kafak'], 'Allowed choices are bus, redis, kafka, rabbitmq, stomp'],
    [['dead', 'drop'], 'no id was given'],
    [['dead', 'requeue', 'bus:1', '--all'], 'ids and --all were both given'],
  ])('answers %j with 2 and a remedy', async (args, words) => {
    const { code, stdout, stderr } = await runCli(['bus', ...args])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(words)
  })

  it('tells which brokers there are when one is not', async () => {
    const regent = await talking()
    regent.api.on('bus.publish', () => {
      throw new RegentError('NOT_FOUND', "the configuration names no broker 'kafka'; there is bus", {
        hint: 'name it with MSK_BOOTSTRAP_SERVERS',
      })
    })
    const { code, stderr } = await regent.run(['bus', 'publish', 't', 'm', '--broker', 'kafka'])
    expect(code).toBe(4)
    expect(stderr).toContain("names no broker 'kafka'; there is bus")
    expect(stderr).toContain('MSK_BOOTSTRAP_SERVERS')
  })
})

const broker = { name: 'bus', kind: 'memory', address: 'in this process', connected: true, since: 0, reason: null, reconnects: 0 }
const status = {
  brokers: [
    { ...broker, lag: [{ topic: 't', group: 'g', waiting: 3 }], dead_letters: 0 },
    {
      ...broker,
      name: 'redis',
      kind: 'redis',
      address: 'redis at h:1',
      connected: false,
      reason: 'nobody listens',
      lag: [],
      dead_letters: null,
    },
  ],
  relays: [{ name: 'channels', broker: 'memory', position: 7, backlog: 2, sent: 5, refused: 0, dropped: 0, retrying: null }],
  dead_in_inboxes: 1,
}
const letter = {
  ...{ id: 'redis:1-0', broker: 'redis', topic: 't', group: 'g', agent: null, message_id: 'm', reason: 'poison', attempts: 5 },
  ...{ at: 0, body: 'not\u001b[2J JSON', content_type: null, key: 'k', headers: { h: 'v' } },
}

describe('regent bus topics, status and dead', () => {
  it('lists topics', async () => {
    const regent = await fakeRegent({ 'bus.topics': () => ({ topics: [{ name: 'agent:news', subscribers: 2, waiting: null }] }) })
    const { stdout } = await regent.run(['bus', 'topics', '--broker', 'redis'])
    expect(stdout).toMatch(/TOPIC +SUBSCRIBERS +WAITING\nagent:news +2 +\?/)
    expect(regent.api.requests[0]?.input).toEqual({ broker: 'redis' })
  })

  it('shows brokers and relays, in words and as JSON', async () => {
    const regent = await fakeRegent({ 'bus.status': () => status })
    const { stdout, stderr } = await regent.run(['bus', 'status'])
    expect(stdout).toMatch(/^bus +up .* 3 +0 +0 +in this process$/m)
    expect(stdout).toMatch(/^redis +away .* \? +0 +redis at h:1: nobody listens$/m)
    expect(stdout).toMatch(/^channels +memory +7 +2 +5 +0 +0 +-$/m)
    expect(stderr).toBe('1 message that agents gave up\n')
    expect(JSON.parse((await regent.run(['bus', 'status', '--json'])).stdout)).toEqual(status)
    expect((await regent.run(['bus', 'status', '-o', 'wide'])).stdout).toContain('bus t (g): 3 wait')
  })

  it('lists, shows, requeues and drops dead letters, one or all', async () => {
    const regent = await fakeRegent({
      'bus.dead.list': () => ({ letters: [letter, { ...letter, id: 'inbox:x', broker: 'inbox', agent: 'alice/news' }], unreachable: [] }),
      'bus.dead.show': () => letter,
      'bus.dead.requeue': ({ id }) => ({ id: String(id), message_id: 'new' }),
      'bus.dead.drop': ({ id }) => ({ id: String(id), dropped: true }),
    })
    const listed = await regent.run(['bus', 'dead', 'list', '--topic', 't'])
    expect(listed.stdout).toMatch(/redis:1-0 +redis t .* 5 +poison +not \[2J JSON/)
    expect((await regent.run(['bus', 'dead', 'list', '-o', 'name'])).stdout).toBe('redis:1-0\ninbox:x\n')
    expect((await regent.run(['bus', 'dead', 'show', 'redis:1-0'])).stdout).toMatch(/reason +poison\n.*k\nh +v\n\nnot/)
    expect((await regent.run(['bus', 'dead', 'requeue', 'redis:1-0'])).stdout).toBe('redis:1-0 is tried again as message new\n')
    expect((await regent.run(['bus', 'dead', 'drop', 'redis:1-0', '-y'])).stdout).toBe('redis:1-0 is forgotten\n')
    expect(await regent.run(['bus', 'dead', 'drop', 'redis:1-0'])).toMatchObject({ code: 2, stdout: '' })
    expect((await regent.run(['bus', 'dead', 'requeue', '--all', '--agent', 'news'])).stdout.split('\n')).toHaveLength(3)
    const acted = regent.api.requests.filter(({ operation }) => operation === 'bus.dead.requeue').map(({ input }) => input)
    expect(acted).toEqual([{ id: 'redis:1-0' }, { id: 'redis:1-0' }, { id: 'inbox:x' }])
  })

  it('says which broker could not be asked, with 1', async () => {
    const regent = await fakeRegent({
      'bus.dead.list': () => ({ letters: [], unreachable: [{ broker: 'kafka', reason: 'nobody listens' }] }),
    })
    expect(await regent.run(['bus', 'dead', 'list'])).toEqual({
      ...{ code: 1, stdout: '' },
      stderr: 'kafka could not be asked: nobody listens\nnothing was given up\n',
    })
  })
})
