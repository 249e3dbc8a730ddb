import { describe, expect, it } from 'vitest'
import type { CodingAgent, Turn } from '../../src/ports/coding-agents.ts'
import { kinds, NOON, read, turnOf } from '../helpers/turns.ts'

export interface CodingAgentSubject {
  readonly agent: CodingAgent
  /** What a turn of it must have beside a prompt. */
  readonly base?: Partial<Turn>
  /** What it printed in a turn that called a tool and succeeded. */
  readonly good: { readonly printed: string; readonly text: string; readonly session: string | null; readonly tool: string | null }
  /** In a turn that its provider refused; how it ended. */
  readonly refused: { readonly printed: string; readonly stderr?: string; readonly words: string }
}

/** Every coding agent must pass. */
export function codingAgentConformance({ agent, base = {}, good, refused }: CodingAgentSubject): void {
  const command = (over: Partial<Turn> = {}) => agent.command(turnOf({ ...base, ...over }))

  describe(`coding agent: ${agent.name}, its command`, () => {
    it('begins with its program and holds the prompt whole and once', () => {
      const { argv } = command({ prompt: 'Fix "it"\n  $(now) `x`' })
      if (agent.program !== null) expect(argv[0]).toBe(agent.program)
      expect(argv.filter((word) => word.includes('$(now)'))).toEqual(['Fix "it"\n  $(now) `x`'])
    })

    it('cannot take a prompt for an option', () => {
      const { argv } = command({ prompt: '--help' })
      const at = argv.findIndex((word) => word.includes('--help'))
      const behind = argv.slice(0, at).includes('--') || argv[at] !== '--help' || agent.name === 'acp' || agent.name === 'command'
      expect({ argv, behind }).toMatchObject({ behind: true })
    })

    it('goes on in the session that it is given', () => {
      const { argv } = command({ sessionId: 'b6a7c2f0-0000-4000-8000-000000000002', resume: true })
      if (agent.can.resume && agent.program !== null) expect(argv).toContain('b6a7c2f0-0000-4000-8000-000000000002')
      expect(command({ sessionId: null, resume: false }).argv.join(' ')).not.toContain('b6a7c2f0')
    })

    it('refuses a prompt that no program can be given, and names the field', () => {
      const refusal = expect.objectContaining({ code: 'INVALID', fields: [expect.objectContaining({ path: 'prompt' })] })
      expect(() => command({ prompt: 'é'.repeat(70_000) })).toThrow(refusal)
      expect(command({ prompt: 'x'.repeat(100_000) }).argv.length).toBeGreaterThan(1)
    })

    it('refuses what it cannot be asked, and names the field', () => {
      const wishes = {
        model: 'm',
        allowedTools: ['Read'],
        permissionMode: 'plan',
        appendSystemPrompt: 'Be brief',
        disallowedTools: ['Bash'],
      }
      for (const [wish, value] of Object.entries(wishes)) {
        const field = wish.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
        const words = JSON.stringify(value).replaceAll(/["[\]]/g, '')
        try {
          expect(JSON.stringify(command({ [wish]: value }).argv)).toContain(words)
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID', fields: [{ path: field }] })
        }
      }
    })

    it('adds the arguments of the caller', () => {
      expect(JSON.stringify(command({ args: ['--one', 'two words'] }).argv).replaceAll('\\"', '"')).toMatch(/"--one","two words"/)
    })
  })

  describe(`coding agent: ${agent.name}, its output`, () => {
    it('tells the session first, then what happened, and sums up', () => {
      const { outputs, outcome } = read(agent, good.printed)
      if (good.session !== null) expect(outputs[0]).toEqual({ kind: 'session', sessionId: good.session })
      if (good.tool !== null) {
        const order = kinds(outputs)
        expect(outputs.find((output) => output.kind === 'tool_call')).toMatchObject({ tool: good.tool })
        expect(outputs.find((output) => output.kind === 'tool_result')).toMatchObject({ tool: good.tool })
        expect(order.indexOf('tool_call')).toBeLessThan(order.indexOf('tool_result'))
      }
      expect(outputs.some((output) => output.kind === 'text' && output.text.includes(good.text))).toBe(true)
      expect(outcome).toMatchObject({ ok: true, sessionId: good.session, failure: null, limit: null })
      expect(outcome.text).toContain(good.text)
      expect(outcome.document).not.toBe('')
    })

    it('says why a refused turn failed', () => {
      const { outcome } = read(agent, refused.printed, { code: 1, stderr: refused.stderr ?? '' })
      expect(outcome.ok).toBe(false)
      expect(outcome.failure?.message).toContain(refused.words)
    })

    it('takes an exit code, and an end that nobody saw, for failures where no answer came', () => {
      expect(read(agent, '', { code: 3 }).outcome.failure).toEqual({ kind: 'exit', message: 'Exit code 3' })
      expect(read(agent, '', { code: 3, stderr: 'first\n\u001b[31mno such key\u001b[0m\n' }).outcome.failure?.message).toBe(
        'Exit code 3: no such key',
      )
      expect(read(agent, '', { code: null }).outcome.failure?.kind).toBe('lost')
      expect(read(agent, good.printed, { code: 137 }).outcome).toMatchObject({ ok: false, failure: { kind: 'exit' } })
    })

    it('reads limits where it failed, and only there', () => {
      const stderr = 'Error: usage limit reached, retry-after: 90\n'
      expect(read(agent, '', { code: 1, stderr }).outcome).toMatchObject({ failure: { kind: 'limit' }, limit: { until: NOON + 90_000 } })
      expect(read(agent, good.printed, { stderr }).outcome).toMatchObject({ ok: true, limit: null })
    })

    it('bears every line: cut, empty, huge, of other shapes', () => {
      const lines = good.printed.split('\n')
      const cut = lines.map((line) => line.slice(0, line.length / 2))
      const shapes = [
        'null',
        '[]',
        '{}',
        '{"type":7}',
        '{"type":"result"}',
        '{"type":"assistant","message":null}',
        '{"item":[]}',
        '[1,{"a":2}]',
        '}',
        '{',
      ]
      for (const junk of [...cut, ...shapes, '\u0000', `{"a":"${'x'.repeat(100_000)}`]) {
        const { outcome } = read(agent, `${junk}\n${good.printed}`)
        expect(outcome.sessionId).toBe(good.session)
      }
    })

    it('keeps a bounded part of what a program prints without end', () => {
      const reader = agent.reader(turnOf(base))
      const line = 'x'.repeat(64 * 1024)
      for (let at = 0; at < 320; at++) reader.line(line, NOON)
      expect(reader.end({ code: 1, stderr: '', at: NOON }).document.length).toBeLessThan(11 * 1024 * 1024)
    })
  })
}
