import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CodingAgent, Output, Turn, TurnExit, TurnOutcome } from '../../src/ports/coding-agents.ts'

/** Of every time in these tests: 1 December 2026, 12:00 UTC. */
export const NOON = Date.UTC(2026, 11, 1, 12)

/** A turn that asks for nothing but an answer. */
export function turnOf(over: Partial<Turn> = {}): Turn {
  return {
    workerId: '0c1e2d3f-0000-4000-8000-000000000001',
    prompt: 'Say hello',
    sessionId: null,
    resume: false,
    model: null,
    allowedTools: null,
    disallowedTools: null,
    permissionMode: null,
    appendSystemPrompt: null,
    args: [],
    command: null,
    budgetUsd: null,
    stream: true,
    permissions: null,
    ...over,
  }
}

/** What a real CLI printed. */
export const recorded = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../fixtures/coding-agents/recorded', name), 'utf8')

export interface Reading {
  readonly outputs: readonly Output[]
  readonly outcome: TurnOutcome
}

/** Reads what was printed as a turn's reader gets it. */
export function read(agent: CodingAgent, printed: string, exit: Partial<TurnExit> = {}, turn: Partial<Turn> = {}): Reading {
  const reader = agent.reader(turnOf(turn))
  const lines = printed.endsWith('\n') ? printed.slice(0, -1).split('\n') : printed.split('\n')
  const outputs = printed === '' ? [] : lines.flatMap((line) => reader.line(line, NOON))
  return { outputs, outcome: reader.end({ code: 0, stderr: '', at: NOON, ...exit }) }
}

export const kinds = (outputs: readonly Output[]): string[] => outputs.map((output) => output.kind)
