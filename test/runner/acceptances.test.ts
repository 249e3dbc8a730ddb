import { describe, expect, it } from 'vitest'
import { Acceptances } from '../../src/runner/acceptances.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

function held() {
  const clock = new FakeClock()
  const told: string[][] = []
  const acceptances: Acceptances = new Acceptances(clock, () => told.push(acceptances.take([], 1000)))
  const take = (id: string) => {
    acceptances.coming(id, false)
    acceptances.stored(id)
  }
  return { clock, told, acceptances, take }
}

describe('acceptances', () => {
  it('are told with the end of the work where that comes soon', async () => {
    const { clock, told, acceptances, take } = held()
    take('a')
    take('b')
    acceptances.coming('c', false)
    expect(acceptances.take(['a', 'c', 'of an earlier connection'], 1000)).toEqual(['a', 'c'])
    acceptances.stored('c')
    await clock.advance(1000)
    expect(told).toEqual([['b']])
  })

  it('wait a moment and no longer, and not at all for work that ended before', async () => {
    const { clock, told, acceptances, take } = held()
    take('a')
    await clock.advance(60)
    take('b')
    expect(told).toEqual([])
    await clock.advance(140)
    expect(told).toEqual([['a', 'b']])
    acceptances.coming('c', true)
    acceptances.stored('c')
    expect(told).toEqual([['a', 'b'], ['c']])
  })

  it('are forgotten with their connection', async () => {
    const { clock, told, acceptances, take } = held()
    take('a')
    acceptances.coming('b', false)
    acceptances.clear()
    acceptances.stored('b')
    await clock.advance(1000)
    expect(told).toEqual([])
  })
})
