import { randomUUID } from 'node:crypto'
import { expect, it, onTestFinished } from 'vitest'
import type { LogLine, Runtime } from '../../src/ports/runtime.ts'
import { until } from '../helpers/until.ts'
import { type RuntimePlace, textOf } from './runtime-place.ts'

type Place = () => Promise<RuntimePlace>

/** An agent's output. */
export function runtimeLogs(place: Place): void {
  kept(place)
  followed(place)
}

function kept(place: Place): void {
  it('shows both streams of all runs of an agent in order', async () => {
    const here = await place()
    const runtime = await here.open()
    const agentId = randomUUID()
    for (const turn of [1, 2, 3]) {
      const spec = here.script('echo "$1 out"; echo "$1 err" >&2; printf "$1 end"', [String(turn)], { agentId })
      await (await runtime.start(spec)).exited
      await until(async () => (await textOf(runtime, agentId)).length === 3 * turn, 'the output')
    }
    const lines = await textOf(runtime, agentId)
    expect(lines.filter((line) => !line.includes('err'))).toEqual(['1 out', '1 end', '2 out', '2 end', '3 out', '3 end'])
    expect(lines.filter((line) => line.includes('err'))).toEqual(['1 err', '2 err', '3 err'])
    expect(await textOf(runtime, agentId, 1)).toEqual(['3 end'])
    expect(await textOf(runtime, agentId, 0)).toEqual([])
    expect(await textOf(runtime, agentId, 4)).toEqual(lines.slice(-4))
    expect(await textOf(runtime, agentId, 100)).toEqual(lines)
  })

  it('ends at once for an agent that never ran', async () => {
    const runtime = await (await place()).open()
    expect(await textOf(runtime, randomUUID())).toEqual([])
    const follow = follower(runtime, randomUUID())
    await follow.done
    expect(follow.lines).toEqual([])
  })
}

function followed(place: Place): void {
  it('follows from the tail on, over the agent’s next run, until told to end', async () => {
    const here = await place()
    const runtime = await here.open()
    const agentId = randomUUID()
    const first = here.script('echo one; echo two; read line < /dev/null; exec sleep 1000', [], { agentId })
    const run = await runtime.start(first)
    await until(async () => (await textOf(runtime, agentId)).length === 2, 'the first lines')
    const follow = follower(runtime, agentId, 1)
    await until(() => follow.lines.length === 1, 'the tail')
    await run.stop({ signal: 'SIGKILL', graceMs: 0 })
    const second = here.script('echo three; printf four', [], { agentId })
    await (await runtime.start(second)).exited
    await until(() => follow.lines.length === 3, 'the lines of the next run')
    expect(follow.lines.map(({ runId, text }) => [runId, text])).toEqual([
      [first.runId, 'two'],
      [second.runId, 'three'],
      [second.runId, 'four'],
    ])
    follow.end()
    await follow.done
  })

  it('ends what follows when it is closed', async () => {
    const here = await place()
    const runtime = await here.open()
    const spec = here.script('echo one; exec sleep 1000')
    await runtime.start(spec)
    const follow = follower(runtime, spec.agentId)
    await until(() => follow.lines.length === 1, 'the line')
    await runtime.close()
    await follow.done
    expect(follow.lines).toHaveLength(1)
  })
}

function follower(runtime: Runtime, agentId: string, tail?: number): { lines: LogLine[]; done: Promise<void>; end(): void } {
  const lines: LogLine[] = []
  const end = new AbortController()
  const done = (async () => {
    for await (const line of runtime.logs(agentId, { follow: true, ...(tail !== undefined && { tail }) }, end.signal)) lines.push(line)
  })()
  onTestFinished(async () => {
    end.abort()
    await done
  })
  return { lines, done, end: () => end.abort() }
}
