import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { busConformance } from '../../conformance/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { describeWith } from '../../helpers/services.ts'
import { until } from '../../helpers/until.ts'
import { openRedis, redisCli, startCluster } from './redis-world.ts'

// The nodes are the suite's own; it is for the program that it needs the service.
describeWith('redis', 'Redis Cluster', () => {
  let cluster: Awaited<ReturnType<typeof startCluster>>
  const settings = () => cluster.settings

  beforeAll(async () => {
    cluster = await startCluster()
  }, 60_000)
  afterAll(async () => {
    await Promise.all((cluster?.nodes ?? []).map((node) => node.remove()))
  })

  const open = async () => {
    const bus = await openRedis(settings())
    await bus.check()
    return bus
  }

  // No proxy can stand before it: its nodes tell clients where to go.
  busConformance('Redis Cluster', open, {
    get settings() {
      return settings()
    },
  })

  describe('over three nodes', () => {
    it('[S2-33] [I4-BUS-02] spreads topics over the nodes, and hears channels of any node', async () => {
      const bus = await openRedis(settings())
      const topics = Array.from({ length: 12 }, freshTopic)
      const streams = await Promise.all(topics.map((topic) => listen(bus, topic, { group: 'g' })))
      const channel = { ...freshTopic(), fleeting: true }
      const { got } = await listen(bus, channel)
      await Promise.all(topics.map((topic) => bus.publish(topic, message(topic.name))))
      await until(() => streams.every((one) => one.got.length === 1), 'one message at each')
      const counts = await Promise.all(cluster.nodes.map(({ port }) => redisCli(port, 'DBSIZE')))
      expect(counts.every((count) => Number(count) > 0)).toBe(true)
      for (const { port } of cluster.nodes) await redisCli(port, 'PUBLISH', channel.name, String(port))
      await bus.publish(channel, message('own'))
      await until(() => got.length === 4, 'what each node published')
      expect(bodies(got).sort()).toEqual([...cluster.nodes.map(({ port }) => String(port)), 'own'].sort())
      expect((await bus.topics()).map(({ name }) => name)).toEqual(expect.arrayContaining(topics.map(({ name }) => name)))
    })

    it('outlives lost connections and loses nothing by them', { timeout: 60_000 }, async () => {
      const bus = await open()
      const topic = freshTopic()
      const { got } = await listen(bus, topic, { group: 'g' })
      for (let round = 0; round < 3; round++) {
        for (let at = 0; at < 20; at++) {
          const one = message(`${round}-${at}`, { key: 'k' })
          await until(() => bus.publish(topic, one).then(() => true), 'a publish', 20_000)
        }
        for (const { port } of cluster.nodes) await redisCli(port, 'CLIENT', 'KILL', 'TYPE', 'normal')
      }
      await until(() => new Set(bodies(got)).size === 60, 'all sixty', 30_000)
      await until(() => bus.status().connected && bus.status().reconnects > 0, 'the connection', 30_000)
      expect([...new Set(bodies(got))]).toEqual(Array.from({ length: 60 }, (_, at) => `${Math.floor(at / 20)}-${at % 20}`))
    })

    it('says within 5 s that a node hangs, and goes on when it is back', { timeout: 60_000 }, async () => {
      const bus = await open()
      const topics = Array.from({ length: 12 }, freshTopic)
      const heard = await Promise.all(topics.map((topic) => listen(bus, topic, { group: 'g' })))
      const [, frozen] = cluster.nodes
      frozen?.freeze()
      onTestFinished(() => frozen?.thaw())
      const begun = performance.now()
      const answers = await Promise.allSettled(topics.map((topic) => bus.publish(topic, message('in the freeze'))))
      const took = performance.now() - begun
      frozen?.thaw()
      expect(took).toBeLessThan(5000)
      const refused = answers.filter((one) => one.status === 'rejected').map(({ reason }) => reason.code)
      expect(refused.length).toBeGreaterThan(0)
      expect(new Set(refused)).toEqual(new Set(['UNAVAILABLE']))
      for (const topic of topics) await until(() => bus.publish(topic, message('after')).then(() => true), 'a publish after it', 30_000)
      await until(() => heard.every(({ got }) => bodies(got).includes('after')), 'it, at each', 30_000)
    })

    it('follows a slot that moves to another node', async () => {
      const bus = await openRedis(settings())
      const topic = freshTopic()
      const { got } = await listen(bus, topic, { group: 'g' })
      await bus.publish(topic, message('1'))
      await until(() => got.length === 1, 'the first')
      await moveSlotOf(topic.name)
      await until(async () => {
        await bus.publish(topic, message('2'))
        return true
      }, 'a publish after the move')
      await until(() => bodies(got).includes('2'), 'the second', 20_000)
      expect(bodies(got)).toEqual(['1', '2'])
    })
  })

  /** As `redis-cli --cluster reshard` does it, for one slot. */
  async function moveSlotOf(key: string): Promise<void> {
    const nodes = await Promise.all(cluster.nodes.map(async ({ port }) => ({ port, id: await redisCli(port, 'CLUSTER', 'MYID') })))
    const slot = await redisCli(nodes[0]?.port ?? 0, 'CLUSTER', 'KEYSLOT', key)
    const owns = await Promise.all(nodes.map(async ({ port }) => (await redisCli(port, 'CLUSTER', 'COUNTKEYSINSLOT', slot)) !== '0'))
    const from = nodes[owns.indexOf(true)]
    const to = nodes.find((one) => one !== from)
    if (!from || !to) throw new Error(`nobody owns slot ${slot}`)
    await redisCli(to.port, 'CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id)
    await redisCli(from.port, 'CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id)
    const keys = (await redisCli(from.port, 'CLUSTER', 'GETKEYSINSLOT', slot, '1000')).split('\n').filter(Boolean)
    await redisCli(from.port, 'MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys)
    for (const { port } of [to, from, ...nodes]) await redisCli(port, 'CLUSTER', 'SETSLOT', slot, 'NODE', to.id)
  }
})
