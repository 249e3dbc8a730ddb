import { describe, expect, it } from 'vitest'
import { RegentError } from '../../src/kernel/errors.ts'
import type { Model, ModelRequest, Turn } from '../../src/ports/model.ts'
import type { Tool } from '../../src/ports/tool-server.ts'

/**
 * Every model must pass. The one given obeys the script language of the offline model (docs/offline-model.md): the offline model
 * does so by itself, any other behind a server that plays a model which would.
 */
export function modelConformance(name: string, create: () => Promise<Model>): void {
  describe(`model: ${name}`, () => {
    it('has an id and room for a conversation', async () => {
      const model = await create()
      expect(model.id).toMatch(/^\w+/)
      expect(model.contextTokens).toBeGreaterThan(1000)
    })

    it('answers, and streams the same text in pieces [I2-MOD-01] [I2-PORT-01]', async () => {
      const pieces: string[] = []
      const long = 'The quick brown fox jumps over the lazy dog, and 🦊 does it again.'
      const answer = await (await create()).answer(ask(`say ${long}`, { onText: (piece) => pieces.push(piece) }))
      expect(answer).toMatchObject({ text: long, calls: [], finish: 'stop' })
      expect(pieces.length).toBeGreaterThan(1)
      expect(pieces.join('')).toBe(long)
    })

    it('counts tokens', async () => {
      const { usage } = await (await create()).answer(ask('say something of some length'))
      expect(usage.inputTokens).toBeGreaterThan(0)
      expect(usage.outputTokens).toBeGreaterThan(0)
    })

    it('asks for a tool with its arguments, and takes the result [I2-MOD-01]', async () => {
      const model = await create()
      const turns: Turn[] = [{ role: 'user', text: 'call weather {"place":"Oslo","days":[1,{"at":"noon"}]}' }]
      const asked = await model.answer(request(turns, { tools: [tool('weather')] }))
      expect(asked.finish).toBe('tool-calls')
      expect(asked.calls).toEqual([{ id: expect.any(String), tool: 'weather', args: { place: 'Oslo', days: [1, { at: 'noon' }] } }])
      turns.push({ role: 'assistant', text: asked.text, calls: asked.calls })
      turns.push({ role: 'tool', callId: asked.calls[0]?.id ?? '', tool: 'weather', text: 'rain, 7 degrees', isError: false })
      const told = await model.answer(request(turns, { tools: [tool('weather')] }))
      expect(told).toMatchObject({ calls: [], finish: 'stop', text: expect.stringContaining('rain, 7 degrees') })
    })

    it('keeps names of tools that its wire could not carry', async () => {
      const wanted = 'files/read.text:v2'
      const { calls } = await (await create()).answer(ask(`call ${wanted} {}`, { tools: [tool('files_read_text_v2'), tool(wanted)] }))
      expect(calls.map((call) => call.tool)).toEqual([wanted])
    })

    it('takes a conversation that a crash tore apart', async () => {
      const turns: Turn[] = [
        { role: 'assistant', text: '', calls: [] },
        { role: 'tool', callId: 'gone', tool: 'weather', text: 'a result without its call', isError: false },
        { role: 'user', text: '' },
        { role: 'assistant', text: '', calls: [{ id: 'c1', tool: 'weather', args: {} }] },
        { role: 'user', text: 'say still here' },
      ]
      expect(await (await create()).answer(request(turns, { tools: [tool('weather')] }))).toMatchObject({ text: 'still here' })
    })

    it('tells a refusal in its own words', async () => {
      const failed = (await create()).answer(ask('fail the cat sat on the keyboard'))
      await expect(failed).rejects.toMatchObject({ code: 'UPSTREAM', message: expect.stringContaining('the cat sat on the keyboard') })
    })

    it('does not begin once aborted', async () => {
      const reason = new RegentError('ILLEGAL_STATE', 'stopped')
      await expect((await create()).answer(ask('say no', { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason)
    })

    it('stops in the middle of an answer as soon as it is aborted', async () => {
      const stop = new AbortController()
      const reason = new RegentError('ILLEGAL_STATE', 'stopped')
      let at = Number.NaN
      const onText = () => {
        if (!stop.signal.aborted) at = performance.now()
        stop.abort(reason)
      }
      await expect((await create()).answer(ask('say first\nsleep 60000\nsay second', { signal: stop.signal, onText }))).rejects.toBe(reason)
      expect(performance.now() - at).toBeLessThan(1_000)
    })
  })
}

/** A request to work, with one message of a user. */
export const ask = (text: string, over: Partial<ModelRequest> = {}): ModelRequest => request([{ role: 'user', text }], over)

export const request = (turns: readonly Turn[], over: Partial<ModelRequest> = {}): ModelRequest => ({
  purpose: 'work',
  system: 'You are an agent.',
  turns,
  tools: [],
  signal: new AbortController().signal,
  ...over,
})

export const tool = (name: string): Tool => ({
  name,
  description: `does ${name}`,
  inputSchema: { type: 'object', properties: { place: { type: 'string' } } },
  hints: {},
})
