import { describe, expect, it } from 'vitest'
import type { Bus } from '../../src/ports/bus.ts'
import { until } from '../helpers/until.ts'
import { bodies, freshTopic, listen, message } from './bus-talk.ts'
import { awaiting, crashing, disconnecting, type Outside, pressing } from './bus-trouble.ts'

/** Opens a client of one and the same broker and closes it when the test ends; called once or more in each test. */
export type OpenBus = () => Promise<Bus>

/** What every bus must do; where a flag of `can` says that it cannot, what it does instead. `outside`: the broker that `open` connects to. */
export function busConformance(name: string, open: OpenBus, outside?: Outside): void {
  describe(`${name} as a bus`, () => {
    carrying(open)
    sharing(open)
    beginning(open)
    limiting(open)
    retrying(open)
    burying(open)
    ending(open)
    telling(open)
    crashing(open, outside)
    disconnecting(open, outside)
    awaiting(open, outside)
    pressing(open)
  })
}

function carrying(open: OpenBus): void {
  it('carries a message whole', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic)
    const sent = message('{"text":"h\u00e9llo \u{1F600}\\u0000"}\n', {
      contentType: 'application/json',
      key: 'k',
      headers: { 'x-one': '1', two: 'zwei' },
      replyTo: 'replies',
      correlationId: 'c-1',
    })
    await bus.publish(topic, sent)
    await until(() => got.length === 1, 'the message')
    expect(got[0]).toEqual({ ...sent, topic: expect.objectContaining(topic), attempt: 1 })
  })

  it('carries a mebibyte, and refuses more', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic)
    await bus.publish(topic, message('x'.repeat(1024 * 1024)))
    await until(() => got.length === 1, 'the message')
    expect(got[0]?.body.length).toBe(1024 * 1024)
    await expect(bus.publish(topic, message(`${'x'.repeat(1024 * 1024)}y`))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await expect(bus.publish(topic, message('\u00e9'.repeat(600_000)))).rejects.toMatchObject({ code: 'TOO_LARGE' })
  })

  it('takes a message that nobody waits for', async () => {
    const bus = await open()
    await expect(bus.publish(freshTopic(), message('to nobody'))).resolves.toBeUndefined()
  })

  it('keeps topics apart', async () => {
    const bus = await open()
    const [one, two] = [freshTopic(), freshTopic()]
    const [atOne, atTwo] = [await listen(bus, one), await listen(bus, two)]
    await bus.publish(one, message('1'))
    await bus.publish(two, message('2'))
    await until(() => atOne.got.length > 0 && atTwo.got.length > 0, 'both messages')
    expect([bodies(atOne.got), bodies(atTwo.got)]).toEqual([['1'], ['2']])
  })

  it('keeps the order of a key, and loses nothing of many', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic)
    const keys = ['a', 'b', 'c']
    const sent = Array.from({ length: 600 }, (_, at) => message(String(at), { key: keys[at % 3] ?? 'a' }))
    for (let at = 0; at < sent.length; at += 30) await Promise.all(sent.slice(at, at + 30).map((one) => bus.publish(topic, one)))
    await until(() => got.length >= sent.length, 'all of them')
    expect(new Set(got.map((one) => one.id)).size).toBe(sent.length)
    for (const key of bus.can.ordered ? keys : []) {
      const order = got.filter((one) => one.key === key).map((one) => Number(one.body))
      expect(order).toEqual([...order].sort((a, b) => a - b))
    }
  })
}

function sharing(open: OpenBus): void {
  it('gives each subscriber without a group every message from then on', async () => {
    const bus = await open()
    const topic = freshTopic()
    const first = await listen(bus, topic)
    await bus.publish(topic, message('1'))
    await until(() => first.got.length === 1, 'the first')
    const second = await listen(bus, topic)
    await bus.publish(topic, message('2'))
    await until(() => first.got.length === 2 && second.got.length === 1, 'the second, at both')
    expect([bodies(first.got), bodies(second.got)]).toEqual([['1', '2'], ['2']])
  })

  it('shares the messages of a group, or declares that it cannot', async () => {
    const bus = await open()
    const topic = freshTopic()
    const members = [await listen(bus, topic, { group: 'g' }), await listen(bus, topic, { group: 'g' })]
    const other = await listen(bus, topic, { group: 'other' })
    const sent = Array.from({ length: 40 }, (_, at) => message(String(at), { key: `k${at}` }))
    await Promise.all(sent.map((one) => bus.publish(topic, one)))
    await until(() => other.got.length === 40, 'all at the other group')
    const count = () => members.reduce((sum, member) => sum + member.got.length, 0)
    await until(() => count() >= (bus.can.groups ? 40 : 80), 'all at the members')
    expect(count()).toBe(bus.can.groups ? 40 : 80)
  })

  it('keeps what comes for a known group while it is away, or declares that it does not [I4-BUS-10]', async () => {
    const bus = await open()
    const topic = freshTopic()
    const before = await listen(bus, topic, { group: 'g' })
    await bus.publish(topic, message('1'))
    await until(() => before.got.length === 1, 'the first')
    await before.subscription.close()
    await bus.publish(topic, message('2'))
    const after = await listen(bus, topic, { group: 'g' })
    await bus.publish(topic, message('3'))
    await until(() => bodies(after.got).includes('3'), 'the third')
    expect(bodies(after.got)).toEqual(bus.can.durable ? ['2', '3'] : ['3'])
    expect(bodies(before.got)).toEqual(['1'])
  })
}

function beginning(open: OpenBus): void {
  it('begins a new group with the oldest where it is asked to, or declares that it keeps nothing for unknown groups', async () => {
    const bus = await open()
    const topic = freshTopic()
    const known = await listen(bus, topic, { group: 'known' })
    await bus.publish(topic, message('1'))
    await until(() => known.got.length === 1, 'the first')
    const late = await listen(bus, topic, { group: 'late', from: 'earliest' })
    const latest = await listen(bus, topic, { group: 'latest', from: 'latest' })
    await bus.publish(topic, message('2'))
    await until(() => bodies(late.got).includes('2') && bodies(latest.got).includes('2'), 'the second')
    expect([bodies(late.got), bodies(latest.got)]).toEqual([bus.can.replays ? ['1', '2'] : ['2'], ['2']])
  })

  it('gives all to one subscriber of a group that is exclusive, and to the next when it is gone', { timeout: 40_000 }, async () => {
    const [bus, second] = [await open(), await open()]
    const topic = freshTopic()
    const options = { group: 'g', exclusive: true, from: 'latest' } as const
    const first = await listen(bus, topic, options)
    const standing = listen(second, topic, options)
    for (let at = 0; at < 20; at++) await bus.publish(topic, message(`1-${at}`, { key: `k${at}` }))
    await until(() => first.got.length === 20, 'all, at the first')
    await first.subscription.close()
    if (!bus.can.durable) return expect(await standing).toBeDefined()
    for (let at = 0; at < 20; at++) await bus.publish(topic, message(`2-${at}`, { key: `k${at}` }))
    const next = await standing
    await until(() => new Set(bodies(next.got)).size === 20, 'all, at the second', 30_000)
    expect(bodies(next.got).every((body) => body.startsWith('2-'))).toBe(true)
    return expect(first.got).toHaveLength(20)
  })
}

function limiting(open: OpenBus): void {
  it('handles no more at once than the subscriber wants', async () => {
    const bus = await open()
    const topic = freshTopic()
    const gate = Promise.withResolvers<void>()
    let now = 0
    let most = 0
    const { got } = await listen(bus, topic, { concurrency: 3 }, async () => {
      now += 1
      most = Math.max(most, now)
      await gate.promise
      now -= 1
    })
    const published = Array.from({ length: 30 }, (_, at) => bus.publish(topic, message(String(at), { key: `k${at}` })))
    await until(() => now === 3, 'three at once')
    gate.resolve()
    await Promise.all(published)
    await until(() => got.length === 30 && now === 0, 'all of them')
    expect(most).toBe(3)
  })
}

function retrying(open: OpenBus): void {
  it('brings a message again that was not handled', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic, {}, async ({ attempt }) => {
      if (attempt < 3) throw new Error(`not at attempt ${attempt}`)
    })
    await bus.publish(topic, message('again'))
    await until(() => got.length === 3, 'three attempts')
    expect(got.map((one) => one.attempt)).toEqual([1, 2, 3])
    expect(new Set(got.map((one) => one.id)).size).toBe(1)
    expect(await bus.deadLetters(topic)).toEqual([])
  })

  it('gives up after the last attempt, keeps the message with the reason, and goes on [I4-BUS-08]', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic, { maxAttempts: 2 }, async ({ body }) => {
      if (body === 'poison') throw new Error('it does not agree with me')
    })
    const poison = message('poison', { key: 'k', headers: { a: 'b' } })
    await bus.publish(topic, poison)
    await bus.publish(topic, message('fine', { key: 'k' }))
    await until(() => bodies(got).includes('fine'), 'the message after it')
    await until(async () => (await bus.deadLetters(topic)).length === 1, 'the dead letter')
    const [letter] = await bus.deadLetters(topic)
    expect(letter).toMatchObject({ message: poison, reason: expect.stringContaining('does not agree'), at: expect.any(Number) })
    expect(bodies(got).filter((body) => body === 'poison')).toHaveLength(2)
  })

  it('keeps the order of a key while one of it is tried again', async () => {
    const bus = await open()
    const topic = freshTopic()
    const done: string[] = []
    await listen(bus, topic, {}, async ({ body, attempt }) => {
      if (body === '1' && attempt < 3) throw new Error('not yet')
      done.push(body)
    })
    await Promise.all(['1', '2', '3'].map((body) => bus.publish(topic, message(body, { key: 'k' }))))
    await until(() => done.length === 3, 'all three')
    expect(bus.can.ordered ? done : [...done].sort()).toEqual(['1', '2', '3'])
  })

  it('does not let one subscriber harm another', async () => {
    const bus = await open()
    const topic = freshTopic()
    await listen(bus, topic, { maxAttempts: 1 }, async () => {
      throw new Error('always')
    })
    const healthy = await listen(bus, topic)
    await bus.publish(topic, message('1'))
    await bus.publish(topic, message('2'))
    await until(() => healthy.got.length === 2, 'both')
    expect(bodies(healthy.got)).toEqual(['1', '2'])
  })
}

function burying(open: OpenBus): void {
  it('hands a dead letter out once more, or forgets it', async () => {
    const bus = await open()
    const topic = freshTopic()
    let well = false
    const { got } = await listen(bus, topic, { group: 'g', maxAttempts: 1 }, async () => {
      if (!well) throw new Error('not well')
    })
    const [again, never] = [message('again'), message('never')]
    await bus.publish(topic, again)
    await bus.publish(topic, never)
    await until(async () => (await bus.deadLetters(topic)).length === 2, 'two dead letters')
    const letters = await bus.deadLetters(topic)
    const idOf = (id: string) => letters.find((letter) => letter.message.id === id)?.id ?? ''
    expect(letters.map(({ group }) => group)).toEqual(['g', 'g'])
    well = true
    expect(await bus.drop(idOf(never.id))).toBe(true)
    expect(await bus.requeue(idOf(again.id))).toBe(true)
    await until(() => bodies(got).filter((body) => body === 'again').length === 2, 'it again')
    expect(got.at(-1)).toMatchObject({ id: again.id, body: 'again' })
    await until(async () => (await bus.deadLetters(topic)).length === 0, 'no dead letters')
    expect([await bus.drop(idOf(never.id)), await bus.requeue('of nobody')]).toEqual([false, false])
    expect(bodies(got).filter((body) => body === 'never')).toHaveLength(1)
  })
}

function ending(open: OpenBus): void {
  it('brings nothing after a subscription was closed, and closes twice', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got, subscription } = await listen(bus, topic)
    const witness = await listen(bus, topic)
    await subscription.close()
    await subscription.close()
    await bus.publish(topic, message('late'))
    await until(() => witness.got.length === 1, 'the witness')
    expect(got).toEqual([])
  })

  it('waits for the handler that runs, and tells it', async () => {
    const bus = await open()
    const topic = freshTopic()
    let told = false
    let ended = false
    const { got, subscription } = await listen(bus, topic, {}, async (_, signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
      told = true
      await new Promise((resolve) => setImmediate(resolve))
      ended = true
    })
    const published = bus.publish(topic, message('1'))
    await until(() => got.length === 1, 'the message')
    await subscription.close()
    expect([told, ended]).toEqual([true, true])
    await published
  })
}

function telling(open: OpenBus): void {
  it('tells its topics and their subscribers', async () => {
    const bus = await open()
    const topic = freshTopic()
    await listen(bus, topic)
    await listen(bus, topic)
    const told = (await bus.topics()).find(({ name }) => name === topic.name)
    expect([2, null]).toContain(told?.subscribers)
    expect([0, null]).toContain(told?.waiting)
    expect((await bus.lag()).filter((one) => one.topic === topic.name)).toHaveLength(2)
  })

  it('can be checked and closed, twice, and then refuses', async () => {
    const bus = await open()
    await expect(bus.check()).resolves.toBeUndefined()
    const { got } = await listen(bus, freshTopic())
    await bus.close()
    await bus.close()
    await expect(bus.publish(freshTopic(), message('x'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(bus.subscribe(freshTopic(), async () => {})).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    await expect(bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    expect(got).toEqual([])
  })

  it('takes nothing when the caller has given up', async () => {
    const bus = await open()
    const topic = freshTopic()
    const { got } = await listen(bus, topic)
    const reason = new Error('never mind')
    await expect(bus.publish(topic, message('1'), AbortSignal.abort(reason))).rejects.toBe(reason)
    await bus.publish(topic, message('2'))
    await until(() => got.length > 0, 'the second')
    expect(bodies(got)).toEqual(['2'])
  })
}
