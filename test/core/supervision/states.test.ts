import { describe, expect, it } from 'vitest'
import { runStates } from '../../../src/contract/states.ts'
import { legalMoves, moveTo } from '../../../src/core/supervision/states.ts'

describe('the state table', () => {
  it('[I2-SUP-01] allows exactly the moves it lists', () => {
    for (const from of runStates) {
      for (const to of runStates) {
        if (legalMoves[from].includes(to)) expect(moveTo(from, to, 'test', 1)).toMatchObject({ from, to })
        else expect(() => moveTo(from, to, 'test', 1)).toThrow(`from ${from} to ${to}`)
      }
    }
  })

  it('never lets a stopped agent run without STARTING', () => {
    expect(() => moveTo('STOPPED', 'RUNNING', 'test', 1)).toThrow('cannot go')
    expect(() => moveTo('EXITED', 'RUNNING', 'test', 1)).toThrow('cannot go')
  })

  it('leaves every state but by a listed move, so none is a trap', () => {
    for (const from of runStates) expect(legalMoves[from].length).toBeGreaterThan(0)
  })
})
