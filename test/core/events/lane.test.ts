import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Lane } from '../../../src/core/events/lane.ts'
import { RegentError } from '../../../src/kernel/errors.ts'
import type { Bus } from '../../../src/ports/bus.ts'

interface Call {
  readonly body: string
  readonly signal: AbortSignal
  readonly confirm: () => void
  readonly fail: (error: Error) => void
}

function opened(pipelined: boolean) {
  const calls: Call[] = []
  const told = { sent: 0, refused: [] as string[], failed: [] as unknown[], empty: 0 }
  const stop = new AbortController()
  const publish: Bus['publish'] = (_, { body }, signal = stop.signal) =>
    new Promise<void>((resolve, reject) => {
      calls.push({ body, signal, confirm: resolve, fail: reject })
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  const lane = new Lane({
    bus: { can: { pipelined }, publish } as Partial<Bus> as Bus,
    stop: stop.signal,
    ready: async () => 0,
    failed: (_, __, error) => void told.failed.push(error),
    sent: () => void told.sent++,
    refused: (_, { body }) => void told.refused.push(body),
    empty: () => void told.empty++,
  })
  const add = (...bodies: string[]) => {
    for (const body of bodies) lane.add({ name: 't' }, { id: body, body }).catch(() => undefined)
    return turn()
  }
  return { calls, told, stop, add }
}

it('waits for each confirmation where the bus does not keep the order of what is under way', async () => {
  const { calls, told, add } = opened(false)
  await add('1', '2')
  expect(calls.map(({ body }) => body)).toEqual(['1'])
  calls[0]?.confirm()
  await turn()
  expect([calls.map(({ body }) => body), told.sent]).toEqual([['1', '2'], 1])
})

it('sends all that waits at once where it does, and what comes meanwhile after that', async () => {
  const { calls, told, add } = opened(true)
  await add('1', '2', '3')
  await add('4', '5')
  expect(calls.map(({ body }) => body)).toEqual(['1', '2', '3'])
  for (const { confirm } of calls) confirm()
  await turn()
  expect(calls.slice(3).map(({ body }) => body)).toEqual(['4', '5'])
  for (const { confirm } of calls) confirm()
  await turn()
  expect(told).toEqual({ sent: 5, refused: [], failed: [], empty: 1 })
})

it('[I4-OUT-03] goes on from the first that was not confirmed, one after the other until none is in doubt', async () => {
  const { calls, told, add } = opened(true)
  await add('1', '2', '3', '4')
  const lost = new RegentError('UNAVAILABLE', 'lost')
  calls[0]?.confirm()
  calls[2]?.confirm()
  calls[1]?.fail(lost)
  expect(calls[3]?.signal.aborted).toBe(false)
  await turn()
  expect([calls[3]?.signal.aborted, told.sent, told.failed]).toEqual([true, 1, [lost]])
  const again: string[] = []
  for (let at = 4; at < 7; at++) {
    again.push(...calls.slice(at).map(({ body }) => body))
    calls[at]?.confirm()
    await turn()
  }
  expect([again, told.sent]).toEqual([['2', '3', '4'], 4])
  await add('5', '6')
  expect(calls.slice(7).map(({ body }) => body)).toEqual(['5', '6'])
})

it('leaves out what is refused for good, without a delay for what is behind it', async () => {
  const { calls, told, add } = opened(true)
  await add('1', '2', '3')
  calls[1]?.fail(new RegentError('TOO_LARGE', 'too large'))
  calls[0]?.confirm()
  calls[2]?.confirm()
  await turn()
  expect(told).toEqual({ sent: 2, refused: ['2'], failed: [], empty: 1 })
})

it('ends with the signal, and rejects what waits', async () => {
  const { calls, told, stop, add } = opened(true)
  await add('1', '2')
  stop.abort(new Error('stopped'))
  await turn()
  expect([calls.length, told]).toEqual([2, { sent: 0, refused: [], failed: [], empty: 1 }])
})
