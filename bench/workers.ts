import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import type { Bench, Lab } from './lib/bench.ts'
import { sizeFigure, timeFigure } from './lib/figures.ts'
import { memoryOf } from './lib/processes.ts'
import { launcher, type Regent, startRegent } from './lib/regent.ts'
import type { Figure } from './lib/result.ts'
import { rounded } from './lib/stats.ts'

const AT_ONCE = 10
const WAITS = 40
const FINISHED = 1000
const IDLE_MS = 5000
const SHARE = 1.2

export const workers: Bench = {
  name: 'workers',
  about: `**wait**: from the last thing that a worker's CLI does, which is to tell the time, to the answer of \`wait\` at an MCP client over stdio,
${WAITS} workers one after the other. **queue**: from the first of many \`POST /api/v1/workers\` until the last has ended, ${AT_ONCE} at once, of a shell script
that sleeps 200 ms and of one that does nothing but answer; beside it the same script by \`xargs -P ${AT_ONCE}\`, in turns. **memory**: resident memory of
Regent with ${FINISHED.toLocaleString('en')} workers that have ended and were claimed, beside one that did as much and forgot them.`,
  n: 200,
  of: 'queued workers',
  async run(lab) {
    return [await waits(lab), ...(await queued(lab, 0.2)), ...(await queued(lab, 0)), ...(await finished(lab))]
  },
}

/** A CLI that answers as Claude Code does; its answer is the time, in ns. */
function cli(folder: string, seconds: number): string {
  const file = join(folder, 'claude')
  const sleep = seconds === 0 ? '' : `sleep ${seconds}\n`
  const answer = `echo "{\\"type\\":\\"result\\",\\"is_error\\":false,\\"result\\":\\"$(date +%s%N)\\",\\"session_id\\":\\"s-$$\\"}"`
  writeFileSync(file, `#!/bin/sh\n${sleep}${seconds === 0 ? answer.replace('$(date +%s%N)', 'done') : answer}\n`)
  chmodSync(file, 0o755)
  return file
}

const pathWith = (folder: string): string => `${folder}:${process.env.PATH ?? ''}`

async function waits(lab: Lab): Promise<Figure> {
  const regent = await startRegent(lab, 'waits')
  const folder = lab.folder('waits-bin')
  cli(folder, 0.1)
  const transport = new StdioClientTransport({
    command: launcher,
    args: ['mcp', '--tools', 'workers'],
    env: { ...regent.env, PATH: pathWith(folder) },
    cwd: regent.project,
    stderr: 'ignore',
  })
  const client = new Client({ name: 'bench', version: '0' })
  lab.defer(() => client.close())
  await client.connect(transport)
  const times: number[] = []
  for (let round = 0; round < WAITS + 3; round++) {
    lab.signal.throwIfAborted()
    const created = await client.callTool({ name: 'create_async_worker', arguments: { prompt: 'tell the time' } })
    const id = (created.structuredContent as { result: string }).result
    await client.callTool({ name: 'wait', arguments: { timeout: 30 } })
    const now = performance.timeOrigin + performance.now()
    const peeked = await client.callTool({ name: 'peek', arguments: { worker_id: id } })
    const { result } = JSON.parse((peeked.structuredContent as { stdout: string }).stdout) as { result: string }
    if (round >= 3) times.push(now - Number(result) / 1e6)
  }
  return timeFigure({ what: 'regent: end of a worker to the answer of wait, over stdio', of: 'ours', goal: 10 }, times)
}

async function queued(lab: Lab, seconds: number): Promise<Figure[]> {
  const folder = lab.folder(`queued-${seconds}-bin`)
  const file = cli(folder, seconds)
  const regent = await startRegent(lab, `queued-${seconds}`)
  const ours: number[] = []
  const bare: number[] = []
  for (let round = 0; round < 3; round++) {
    lab.say(`${lab.n} workers of ${seconds} s, round ${round + 1} of 3`)
    bare.push(byXargs(file, lab.n))
    ours.push(await byQueue(regent, folder, lab.n))
  }
  const what = seconds === 0 ? 'a CLI that only answers' : `a CLI of ${seconds * 1000} ms`
  const limit = timeFigure({ what: `xargs -P ${AT_ONCE}: ${lab.n} of ${what}`, of: 'limit' }, bare)
  const goal = Math.round((limit.value ?? 0) * SHARE)
  return [timeFigure({ what: `regent: ${lab.n} queued workers of ${what}`, of: 'ours', goal }, ours), limit]
}

function byXargs(file: string, n: number): number {
  const from = performance.now()
  const input = Array.from({ length: n }, (_, at) => `prompt-${at}`).join('\n')
  execFileSync('xargs', ['-P', String(AT_ONCE), '-n', '1', file, '-p'], { input, stdio: ['pipe', 'ignore', 'inherit'] })
  return performance.now() - from
}

async function byQueue(regent: Regent, folder: string, n: number): Promise<number> {
  const from = performance.now()
  const create = (at: number) => add(regent, folder, `prompt-${at}`)
  for (let at = 0; at < n; at += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, (_, more) => create(at + more)))
  await all(regent)
  return performance.now() - from
}

const add = (regent: Regent, folder: string, prompt: string) =>
  regent.caller.call('POST', '/api/v1/workers', { worker: { prompt, env: { PATH: pathWith(folder) } } })

async function all(regent: Regent): Promise<void> {
  const { body } = await regent.caller.call('POST', '/api/v1/workers/wait', { mode: 'all', wait: true, timeout: 600_000 })
  if (body.outcome !== 'ended') throw new Error(`the workers did not end: ${String(body.outcome)}`)
}

async function finished(lab: Lab): Promise<Figure[]> {
  const kept = await resident(lab, 'kept', false)
  const none = await resident(lab, 'forgotten', true)
  return [
    sizeFigure(
      { what: `regent: ${FINISHED.toLocaleString('en')} finished workers`, of: 'ours', goal: rounded(none.resident * 1.05) },
      kept,
    ),
    sizeFigure({ what: 'regent: as many, forgotten', of: 'limit' }, none),
  ]
}

async function resident(lab: Lab, name: string, forget: boolean) {
  const folder = lab.folder(`${name}-bin`)
  cli(folder, 0)
  const regent = await startRegent(lab, name)
  for (let done = 0; done < FINISHED; done += 100) {
    await byQueue(regent, folder, 100)
    lab.say(`${done + 100} workers have ended`)
  }
  if (forget)
    for (;;) {
      const { workers } = (await regent.caller.call('GET', '/api/v1/workers?limit=200')).body as unknown as { workers: { id: string }[] }
      if (workers.length === 0) break
      for (const { id } of workers) await regent.caller.call('DELETE', `/api/v1/workers/${id}`)
    }
  await pause(IDLE_MS, undefined, { signal: lab.signal })
  return memoryOf(regent.pid)
}
