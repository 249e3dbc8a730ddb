import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Bus, Topic } from '../../../src/ports/bus.ts'
import { bodies, freshTopic, listen, message } from '../../conformance/bus-talk.ts'
import { temporaryFolder } from '../../helpers/folder.ts'
import { describeWith } from '../../helpers/services.ts'
import { TcpProxy } from '../../helpers/tcp-proxy.ts'
import { until } from '../../helpers/until.ts'
import { OwnRedis, openRedis, redisCli } from './redis-world.ts'

// Each server is a test's own; it is for the program that the service is needed.
describeWith('redis', 'Redis in trouble', () => {
  describe('a server that is killed and started again', () => {
    it('loses nothing of what was confirmed, in the middle of work', { timeout: 90_000 }, async () => {
      const server = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'always')
      const bus = await openRedis(server.settings)
      const topic = freshTopic()
      let failed = false
      const { got } = await listen(bus, topic, { group: 'g' }, async ({ body }) => {
        if (body === '150' && !failed) {
          failed = true
          throw new Error('once')
        }
      })
      const publishing = publishAll(bus, topic, 1500)
      for (const mark of [300, 900]) {
        await until(() => got.length >= mark, `${mark} messages`, 30_000)
        await server.kill()
        await server.start()
        await until(() => bus.status().connected, 'the connection', 30_000)
      }
      const ids = await publishing
      await until(() => new Set(got.map(({ id }) => id)).size === 1500, 'all of them', 40_000)
      expect(new Set(got.map(({ id }) => id))).toEqual(new Set(ids))
      await until(async () => (await redisCli(server.port, 'XPENDING', topic.name, 'g')).startsWith('0'), 'that all is acknowledged')
      expect(bus.status().reconnects).toBeGreaterThanOrEqual(2)
    })

    it('is told, and a handler works on meanwhile; what it did is acknowledged later', { timeout: 60_000 }, async () => {
      const server = await OwnRedis.start('--appendonly', 'yes', '--appendfsync', 'always')
      const bus = await openRedis(server.settings)
      const topic = freshTopic()
      const told: unknown[] = []
      bus.onStatus(({ connected }) => told.push(connected))
      bus.onStatus(() => told.push('to nobody'))()
      const gate = Promise.withResolvers<void>()
      const { got } = await listen(bus, topic, { group: 'g' }, () => gate.promise)
      await bus.publish(topic, message('1'))
      await until(() => got.length === 1, 'the message')
      await server.kill()
      await until(() => !bus.status().connected, 'that it is seen')
      expect(bus.status().reason).toEqual(expect.any(String))
      gate.resolve()
      await expect(bus.publish(topic, message('never'))).rejects.toMatchObject({ code: 'UNAVAILABLE' })
      await server.start()
      await until(async () => (await redisCli(server.port, 'XPENDING', topic.name, 'g')).startsWith('0'), 'the acknowledgement', 40_000)
      await until(() => bus.status().connected, 'the connection', 30_000)
      expect(bodies(got)).toEqual(['1'])
      expect(told.slice(-2)).toEqual([false, true])
      expect(told).not.toContain('to nobody')
    })
  })

  describe('a server that is frozen', () => {
    it('fails a publish within 5 s, is seen by an idle client, keeps no handler, and loses nothing', { timeout: 90_000 }, async () => {
      const server = await OwnRedis.start()
      const [bus, idle] = [await openRedis(server.settings), await openRedis(server.settings)]
      await idle.check()
      const topic = freshTopic()
      const { got, subscription } = await listen(bus, topic, { group: 'g' })
      await bus.publish(topic, message('1'))
      await until(() => got.length === 1, 'the first')
      server.freeze()
      const begun = performance.now()
      const answers = await Promise.allSettled(Array.from({ length: 50 }, (_, at) => bus.publish(topic, message(`frozen ${at}`))))
      expect(performance.now() - begun).toBeLessThan(5000)
      expect(answers.map((one) => (one.status === 'rejected' ? one.reason.code : 'sent'))).toEqual(Array(50).fill('UNAVAILABLE'))
      await until(() => !idle.status().connected, 'that an idle client sees it', 10_000)
      server.thaw()
      await until(() => bus.publish(topic, message('after')).then(() => true), 'a publish', 30_000)
      await until(() => bodies(got).includes('after'), 'what came after', 30_000)
      await subscription.close()
      expect(bodies(got)[0]).toBe('1')
    })

    it('does not hold up a close', { timeout: 60_000 }, async () => {
      const server = await OwnRedis.start()
      const bus = await openRedis(server.settings)
      await listen(bus, freshTopic(), { group: 'g' })
      await listen(bus, { ...freshTopic(), fleeting: true })
      server.freeze()
      const begun = performance.now()
      await bus.close()
      expect(performance.now() - begun).toBeLessThan(8000)
      server.thaw()
    })
  })

  it('[F33] a subscriber that is away loses what is published on a channel meanwhile, and nothing of a stream', {
    timeout: 90_000,
  }, async () => {
    const server = await OwnRedis.start()
    const proxy = await TcpProxy.open(`127.0.0.1:${server.port}`)
    const bus = await openRedis({ ...server.settings, addresses: [proxy.address] })
    const [name, channel] = [freshTopic(), { ...freshTopic(), fleeting: true }]
    const stream = { ...name, name: `${name.name}:stream` }
    const [kept, alone, raw] = [await listen(bus, stream, { group: 'g' }), await listen(bus, stream), await listen(bus, channel)]
    const both = async (body: string) => {
      await redisCli(server.port, 'PUBLISH', channel.name, body)
      await redisCli(server.port, 'XADD', stream.name, '*', 'body', body)
    }
    await both('before')
    await until(() => [kept, alone, raw].every(({ got }) => got.length === 1), 'the first, everywhere')
    proxy.refuse()
    await until(() => !bus.status().connected, 'that Redis is away')
    for (let at = 0; at < 20; at++) await both(`away ${at}`)
    proxy.heal()
    await until(() => kept.got.length === 21 && alone.got.length === 21, 'all of the stream', 40_000)
    await until(async () => (await redisCli(server.port, 'PUBSUB', 'NUMSUB', channel.name)).endsWith('1'), 'the channel again', 40_000)
    await both('after')
    await until(() => [kept, alone, raw].every(({ got }) => bodies(got).includes('after')), 'the last, everywhere')
    expect(bodies(raw.got)).toEqual(['before', 'after'])
    const all = ['before', ...Array.from({ length: 20 }, (_, at) => `away ${at}`), 'after']
    expect([bodies(kept.got), bodies(alone.got)]).toEqual([all, all])
  })

  describe('an account', () => {
    it('is used; a wrong one is refused in words without the password, for good', async () => {
      const server = await OwnRedis.start('--requirepass', 'right-word')
      const good = await openRedis({ ...server.settings, password: 'right-word', database: '3', clientName: 'a name' })
      const topic = freshTopic()
      await good.publish(topic, message('1'))
      expect(await redisCli(server.port, '-a', 'right-word', '--no-auth-warning', '-n', '3', 'XLEN', topic.name)).toBe('1')
      expect(await redisCli(server.port, '-a', 'right-word', '--no-auth-warning', 'CLIENT', 'LIST')).toContain('name=a-name')
      const bad = await openRedis({ ...server.settings, password: 'wrong-word' })
      await expect(bad.subscribe(topic, async () => {}, { group: 'g' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await expect(bad.publish(topic, message('2'))).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('WRONGPASS'),
      })
      expect(bad.status().reason).not.toContain('wrong-word')
    })

    it('is needed where Redis asks for one', async () => {
      const server = await OwnRedis.start('--requirepass', 'right-word')
      const bus = await openRedis(server.settings)
      await expect(bus.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('NOAUTH') })
    })
  })

  describe('settings', () => {
    it.each([
      [{ database: 'orders' }, /database is a number/],
      [{ cluster: true, database: '2' }, /database 0 alone/],
      [{ tls: { ca: '/nowhere/ca.pem' } }, /tls\.ca/],
    ])('that are wrong are refused at once: %j', async (over, words) => {
      await expect(openRedis({ kind: 'redis', addresses: ['127.0.0.1:1'], ...over })).rejects.toMatchObject({
        code: 'INVALID',
        message: expect.stringMatching(words),
      })
    })
  })

  describe('TLS', () => {
    it('trusts the given authority, checks the name, and shows its own certificate', { timeout: 60_000 }, async () => {
      const file = certificates('regent.test')
      const tls = ['--tls-cert-file', file('server.pem'), '--tls-key-file', file('server.key'), '--tls-ca-cert-file', file('ca.pem')]
      const server = await OwnRedis.startTls(tls)
      const settings = server.settings
      const own = { ca: file('ca.pem'), cert: file('server.pem'), key: file('server.key') }
      const renamed = await openRedis({ ...settings, tls: { ...own, checkHostname: false } })
      await expect(renamed.check()).resolves.toBeUndefined()
      const unverified = await openRedis({ ...settings, tls: { cert: own.cert, key: own.key, verify: false } })
      await expect(unverified.check()).resolves.toBeUndefined()
      const strict = await openRedis({ ...settings, tls: own })
      await expect(strict.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/altname|does not match/i) })
      const strange = await openRedis({ ...settings, tls: { cert: own.cert, key: own.key, checkHostname: false } })
      await expect(strange.check()).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringMatching(/certificate/i) })
    })
  })
})

/** Publishes the numbers, each until it is confirmed. */
async function publishAll(bus: Bus, topic: Topic, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let at = 0; at < count; at++) {
    const one = message(String(at), { key: 'k' })
    ids.push(one.id)
    await until(() => bus.publish(topic, one).then(() => true), `message ${at} is confirmed`, 40_000)
  }
  return ids
}

/** An authority and a certificate of a host of that name. */
function certificates(host: string) {
  const folder = temporaryFolder()
  const file = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'ignore' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', file('ca.key'), '-out', file('ca.pem'), '-subj', '/CN=ca', '-days', '2')
  const names = ['-addext', `subjectAltName=DNS:${host}`, '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-days', '2']
  openssl('req', '-x509', ...key, '-keyout', file('server.key'), '-out', file('server.pem'), '-subj', `/CN=${host}`, ...names)
  return file
}
