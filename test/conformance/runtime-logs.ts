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
  ofOneRun(place)
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

function ofOneRun(place: Place): void {
  it('shows one run alone, and ends with its output where that is followed', async () => {
    const here = await place()
    const runtime = await here.open()
    const agentId = randomUUID()
    const printing = 'echo "$1 one"; $2; echo "$1 two" >&2; printf "$1 end"'
    const untilTold = 'trap "told=1" USR1; wait_here() { while [ -z "$told" ]; do sleep 0.05; done; }; '
    const first = here.script(printing, ['a', 'true'], { agentId })
    const second = here.script(untilTold + printing, ['b', 'wait_here'], { agentId })
    const third = here.script(printing, ['c', 'true'], { agentId })
    await (await runtime.start(first)).exited
    const run = await runtime.start(second)
    const all = follower(runtime, agentId, undefined, second.runId)
    const tail = follower(runtime, agentId, 1, second.runId)
    const before = follower(runtime, agentId, undefined, first.runId)
    await before.done
    expect(before.lines.map(({ text }) => text).sort()).toEqual(['a end', 'a one', 'a two'])
    await until(() => all.lines.length === 1 && tail.lines.length === 1, 'its first line')
    expect(await run.signal('SIGUSR1')).toBe(true)
    await run.exited
    await Promise.all([all.done, tail.done])
    await (await runtime.start(third)).exited
    for (const { lines } of [all, tail]) {
      expect(lines.map(({ text }) => text).sort()).toEqual(['b end', 'b one', 'b two'])
      expect(new Set(lines.map(({ runId }) => runId))).toEqual(new Set([second.runId]))
    }
    const after: string[] = []
    for await (const { text } of runtime.logs(agentId, { follow: false, run: second.runId, stream: 'stdout' })) after.push(text)
    expect(after).toEqual(['b one', 'b end'])
    const none = follower(runtime, agentId, undefined, randomUUID())
    await none.done
    expect(none.lines).toEqual([])
  })

  it('gives lines whole that are longer than others, up to what is asked for', async () => {
    const here = await place()
    const runtime = await here.open()
    const long = 300_000
    const spec = here.script(`head -c ${long} /dev/zero | tr "\\0" x; echo; echo short; head -c ${long} /dev/zero | tr "\\0" y`)
    const run = await runtime.start(spec)
    const whole: string[] = []
    for await (const { text } of runtime.logs(spec.agentId, { follow: true, run: spec.runId, lineBytes: 2 ** 20 })) whole.push(text)
    await run.exited
    expect(whole.map((text) => [text.length, text.at(0), text.at(-1)])).toEqual([
      [long, 'x', 'x'],
      [5, 's', 't'],
      [long, 'y', 'y'],
    ])
    const cut: string[] = []
    for await (const { text } of runtime.logs(spec.agentId, { follow: false, lineBytes: 100 })) cut.push(text)
    expect(cut).toEqual([`${'x'.repeat(100)}…`, 'short', `${'y'.repeat(100)}…`])
    expect((await textOf(runtime, spec.agentId)).map((text) => text.length)).toEqual([65_537, 5, 65_537])
  })
}

function follower(runtime: Runtime, agentId: string, tail?: number, run?: string): { lines: LogLine[]; done: Promise<void>; end(): void } {
  const lines: LogLine[] = []
  const end = new AbortController()
  const done = (async () => {
    for await (const line of runtime.logs(
      agentId,
      { follow: true, ...(tail !== undefined && { tail }), ...(run !== undefined && { run }) },
      end.signal,
    ))
      lines.push(line)
  })()
  onTestFinished(async () => {
    end.abort()
    await done
  })
  return { lines, done, end: () => end.abort() }
}
