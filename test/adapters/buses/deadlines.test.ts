import { expect, it } from 'vitest'
import { Deadlines } from '../../../src/adapters/buses/shared/deadlines.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'

it('calls each once its own time is over, unless it was cancelled', () => {
  const clock = new FakeClock()
  const deadlines = new Deadlines(clock, 5000)
  const over: string[] = []
  deadlines.begin(() => over.push('a'))
  const cancel = deadlines.begin(() => over.push('never'))
  clock.advance(3000)
  deadlines.begin(() => over.push('b'))
  cancel()
  clock.advance(2000)
  expect(over).toEqual(['a'])
  deadlines.begin(() => over.push('c'))
  clock.advance(2999)
  expect(over).toEqual(['a'])
  clock.advance(1)
  expect(over).toEqual(['a', 'b'])
  clock.advance(2000)
  expect(over).toEqual(['a', 'b', 'c'])
})
