import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../../src/kernel/json.ts'
import type { ToolServer } from '../../src/ports/tool-server.ts'
import { call, textOf } from '../helpers/mcp.ts'

interface Attempt {
  readonly tool: string
  readonly args: JsonObject
}

/** A connected server, closed when the test ends, and calls of it that do what their names say. */
export interface ToolServerSubject {
  readonly server: ToolServer
  /** Its answer contains `text(n)`, another for each n. */
  readonly good: (n: number) => Attempt
  readonly text: (n: number) => string
  readonly bad: Attempt
  /** Does not end within a minute. */
  readonly slow: Attempt
}

/** Every tool server must pass. */
export function toolServerConformance(name: string, create: () => Promise<ToolServerSubject>): void {
  describe(`tool server: ${name}`, () => {
    const signal = new AbortController().signal

    it('lists its tools: names that differ, descriptions, schemas of objects [I2-PORT-01]', async () => {
      const { server, good } = await create()
      const tools = await server.tools(signal)
      expect(new Set(tools.map((tool) => tool.name)).size).toBe(tools.length)
      expect(tools.map((tool) => tool.name)).toContain(good(1).tool)
      for (const tool of tools) expect(tool).toMatchObject({ description: expect.stringMatching(/./), inputSchema: { type: 'object' } })
      expect(await server.tools(signal)).toEqual(tools)
    })

    it('calls a tool', async () => {
      const { server, good, text } = await create()
      const result = await call(server, good(1).tool, good(1).args)
      expect(result.isError).toBe(false)
      expect(textOf(result)).toContain(text(1))
    })

    it('gives each of many calls at once its own answer', async () => {
      const { server, good, text } = await create()
      const results = await Promise.all(Array.from({ length: 20 }, (_, n) => call(server, good(n).tool, good(n).args)))
      for (const [n, result] of results.entries()) expect(textOf(result)).toContain(text(n))
    })

    it('answers wrong arguments and unknown tools with an error for the model', async () => {
      const { server, bad, good } = await create()
      for (const attempt of [bad, { tool: 'no_such_tool', args: good(1).args }]) {
        const result = await call(server, attempt.tool, attempt.args)
        expect(result.isError).toBe(true)
        expect(textOf(result)).not.toBe('')
      }
    })

    it('gives a call up at its time limit, and is still there', async () => {
      const { server, slow, good, text } = await create()
      await expect(call(server, slow.tool, slow.args, { timeoutMs: 100 })).rejects.toMatchObject({ code: 'TIMED_OUT' })
      expect(textOf(await call(server, good(2).tool, good(2).args))).toContain(text(2))
    })

    it('gives a call up when it is aborted, and is still there', async () => {
      const { server, slow, good, text } = await create()
      const stop = new AbortController()
      const reason = new Error('stopped')
      const work = call(server, slow.tool, slow.args, { signal: stop.signal })
      const from = performance.now()
      queueMicrotask(() => stop.abort(reason))
      await expect(work).rejects.toBe(reason)
      expect(performance.now() - from).toBeLessThan(2_000)
      expect(textOf(await call(server, good(3).tool, good(3).args))).toContain(text(3))
    })

    it('closes twice, and calls nothing afterwards', async () => {
      const { server, good } = await create()
      await Promise.all([server.close(), server.close()])
      await server.close()
      await expect(call(server, good(1).tool, good(1).args)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
    })
  })
}
