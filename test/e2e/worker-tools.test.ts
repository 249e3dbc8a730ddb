// The worker tools as MCP clients of both eras use them, over stdio and HTTP, with a real Regent and a CLI that is a shell script.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readServerFile } from '../../src/client/find-server.ts'
import { answering, claudeFolder, pathWith } from '../helpers/claude-folder.ts'
import { temporaryFolder } from '../helpers/folder.ts'
import { type Era, ToolClient } from '../helpers/mcp-client.ts'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

const SLOW = 120_000
const uuid4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** Answers with the prompt once a file of that name is in the folder of gates; at once for other prompts. */
const script = (gates: string): string =>
  `[ "$1" = --resume ] && { echo "$*" >> "${gates}/resumed"; shift 2; }
case "$2" in gate-*) while [ ! -e "${gates}/$2" ]; do sleep 0.05; done;; fails) echo "connection refused" >&2; exit 3;; esac
echo "$*" >> "${gates}/args"; ${answering('$2')}`

class World {
  readonly gates = temporaryFolder()
  readonly folder = claudeFolder(script(this.gates))
  readonly cwd = temporaryFolder()
  readonly regent: Regent
  readonly env: Readonly<Record<string, string>>

  private constructor(regent: Regent) {
    this.regent = regent
    this.env = { PATH: pathWith(this.folder), HOME: this.cwd, REGENT_HOME: regent.home, REGENT_PROJECT: regent.project }
  }

  static async open(env: Readonly<Record<string, string>> = {}): Promise<World> {
    return new World(await Regent.start(env))
  }

  stdio(era: Era = 'legacy', args: string[] = ['--tools', 'workers']): Promise<ToolClient> {
    return ToolClient.stdio(this.env, this.cwd, { era, args })
  }

  open(name: string): void {
    writeFileSync(join(this.gates, name), '')
  }

  read(name: string): string {
    const file = join(this.gates, name)
    return existsSync(file) ? readFileSync(file, 'utf8') : ''
  }
}

describe.each<Era>(['legacy', 'modern'])('the worker tools over stdio, %s era', { timeout: SLOW }, (era) => {
  it('are those of the README: create, wait, peek, write, wait [S4-01] [S4-02] [S4-03] [S4-04] [S4-05] [S4-06] [S4-07] [S4-12] [S4-13]', async () => {
    const world = await World.open()
    const client = await world.stdio(era)
    // By these FastMCP's client knows that a result is a bare value, and that another is a plain dictionary.
    const schemas = new Map((await client.client.listTools()).tools.map(({ name, outputSchema }) => [name, outputSchema]))
    for (const name of ['create_async_worker', 'wait']) expect(schemas.get(name)).toMatchObject({ 'x-fastmcp-wrap-result': true })
    for (const name of ['peek', 'write_to_worker']) expect(schemas.get(name)?.properties ?? {}).toEqual({})
    const [one, two] = [
      (await client.ask('create_async_worker', { prompt: 'gate-1', timeout: 600 })).data,
      (await client.ask('create_async_worker', { prompt: 'gate-2' })).data,
    ]
    expect([one, two]).toEqual([expect.stringMatching(uuid4), expect.stringMatching(uuid4)])
    expect((await client.call('peek', { worker_id: two })).text).toBe(`Worker ${String(two)} not found or not complete. try wait`)
    world.open('gate-2')
    const winner = await client.ask('wait', { timeout: 60 })
    expect([winner.text, winner.structured?.result]).toEqual([two, two])
    const peeked = (await client.ask('peek', { worker_id: two })).structured
    expect(peeked).toMatchObject({
      task_id: two,
      status: 'complete',
      session_id: expect.any(String),
      stderr: '',
      result: 'gate-2',
      timeout: 300,
    })
    expect(JSON.parse(String(peeked?.stdout))).toMatchObject({ result: 'gate-2' })
    expect((await client.ask('write_to_worker', { worker_id: two, input: 'more' })).data).toEqual({
      success: true,
      message: `Resumed worker ${String(two)}`,
    })
    expect((await client.ask('wait', { timeout: 60 })).text).toBe(two)
    expect((await client.ask('peek', { worker_id: two })).structured).toMatchObject({ result: 'more', timeout: 300 })
    expect(world.read('resumed')).toMatch(/^--resume 9a000000-\S+ -p more /)
    world.open('gate-1')
    expect((await client.ask('wait', { timeout: 60, worker_id: one })).text).toBe(one)
    expect((await client.call('wait', { timeout: 60 })).text).toBe('No active workers to wait for')
  })
})

describe('the worker tools', { timeout: SLOW }, () => {
  it('say what is wrong in the words of the README, and refuse an eleventh [S4-08] [S4-10] [S4-16] [S4-28]', async () => {
    const world = await World.open()
    const client = await world.stdio()
    const ids = await Promise.all(Array.from({ length: 12 }, () => client.call('create_async_worker', { prompt: 'gate-x' })))
    expect(ids.filter(({ isError }) => isError).map(({ text }) => text)).toEqual(['Max 10 active workers.', 'Max 10 active workers.'])
    expect((await client.call('wait', { timeout: 0.2 })).text).toBe('Timeout waiting for workers')
    const [first] = ids
    expect((await client.call('wait', { timeout: 0.2, worker_id: first?.data })).text).toBe(
      `Timeout after 0.2s waiting for worker ${String(first?.data)}`,
    )
    expect((await client.call('wait', { timeout: 1, worker_id: 'nobody' })).text).toBe('Worker nobody not found in active tasks')
    expect((await client.call('write_to_worker', { worker_id: first?.data, input: 'x' })).text).toBe(
      `Worker ${String(first?.data)} not found in complete tasks`,
    )
    world.open('gate-x')
    for (let at = 0; at < 10; at++) await client.ask('wait', { timeout: 30 })
    await client.ask('create_async_worker', { prompt: 'fails' })
    const failed = await client.call('wait', { timeout: 30 })
    expect(failed).toMatchObject({
      isError: true,
      structured: { result: null, failed: [{ returncode: 3, error_hint: 'Connection failed. Check MCP server is running.' }] },
    })
    await client.ask('create_async_worker', { prompt: 'gate-y', timeout: 0.5 })
    expect((await client.call('wait', { timeout: 30 })).text).toContain('Claude process timed out after 0.5 seconds')
    expect((await client.call('wait', { timeout: 1 })).text).toBe('No active workers to wait for')
    const nowhere = await ToolClient.stdio({ ...world.env, PATH: '/usr/bin:/bin' }, world.cwd)
    expect((await nowhere.call('create_async_worker', { prompt: 'x' })).text).toBe('Claude not in PATH')
  })

  it('run the use cases of the README: the first of three, two specialists, a queue until none is active [S4-11] [S4-14] [S4-15]', async () => {
    const world = await World.open()
    const client = await world.stdio()
    const tasks: unknown[] = []
    for (const topic of ['gate-a', 'gate-b', 'gate-c']) tasks.push((await client.ask('create_async_worker', { prompt: topic })).data)
    world.open('gate-b')
    expect((await client.ask('wait', { timeout: 120 })).text).toBe(tasks[1])
    world.open('gate-a')
    world.open('gate-c')
    await client.ask('write_to_worker', { worker_id: tasks[1], input: 'Can you provide more detail?' })
    const told: string[] = []
    for (;;) {
      const answer = await client.call('wait', { timeout: 60 })
      if (answer.text.includes('No active workers')) break
      expect(answer.isError).toBe(false)
      told.push(answer.text)
    }
    expect(told.sort()).toEqual([...tasks].sort())
    for (let at = 0; at < 5; at++) await client.ask('create_async_worker', { prompt: `Process task ${at}` })
    for (let at = 0; at < 5; at++)
      expect((await client.ask('peek', { worker_id: (await client.ask('wait', { timeout: 60 })).text })).structured?.stdout).toContain(
        'Process task',
      )
    expect(world.read('args')).toContain('-p gate-a --output-format stream-json --verbose --session-id')
    await client.ask('create_async_worker', { prompt: 'plain', stream: false })
    await client.ask('wait', { timeout: 60 })
    expect(world.read('args')).toContain('-p plain --output-format json')
  })

  it('[I5-CLAIM-01] a cancelled wait, and a client that is killed, lose no end; another client finds it', async () => {
    const world = await World.open()
    const client = await world.stdio()
    const id = (await client.ask('create_async_worker', { prompt: 'gate-1' })).data
    const cancel = new AbortController()
    const waiting = client.call('wait', { timeout: 60 }, cancel.signal)
    cancel.abort('no longer wanted')
    await expect(waiting).rejects.toThrow()
    const second = client.call('wait', { timeout: 60 }).catch(() => undefined)
    process.kill(client.pid, 'SIGKILL')
    await second
    world.open('gate-1')
    const other = await world.stdio('modern')
    expect((await other.ask('wait', { timeout: 60 })).text).toBe(id)
    expect((await other.call('wait', { timeout: 1 })).text).toBe('No active workers to wait for')
  })

  it('[I5-SURVIVE-03] ten workers: kill -9 of Regent and of the stdio server lose no worker and no result', async () => {
    const world = await World.open()
    const client = await world.stdio()
    const ids = await Promise.all(Array.from({ length: 10 }, (_, at) => client.ask('create_async_worker', { prompt: `gate-${at}` })))
    const waiting = client.ask('wait', { timeout: 100 })
    await world.regent.kill()
    world.open('gate-0')
    await world.regent.serve()
    const told = [(await waiting).text]
    await client.ask('list_workers')
    process.kill(client.pid, 'SIGKILL')
    for (let at = 1; at < 10; at++) world.open(`gate-${at}`)
    await world.regent.kill()
    await world.regent.serve()
    const next = await world.stdio()
    for (let at = 1; at < 10; at++) told.push((await next.ask('wait', { timeout: 60 })).text)
    expect(told.sort()).toEqual(ids.map(({ text }) => text).sort())
    expect((await next.call('wait', { timeout: 1 })).text).toBe('No active workers to wait for')
  })

  it('[I5-CREW-01] two clients in two folders never take each other’s winners; one that comes back finds its own', async () => {
    const world = await World.open()
    const [one, two] = [await world.stdio(), await ToolClient.stdio(world.env, temporaryFolder(), {})]
    const id = (await one.ask('create_async_worker', { prompt: 'mine' })).data
    expect((await two.call('wait', { timeout: 0.5 })).text).toBe('No active workers to wait for')
    await one.close()
    expect((await (await world.stdio()).ask('wait', { timeout: 60 })).text).toBe(id)
  })

  it('[I5-START-01] start a Regent where none runs, which outlives them and ends when nobody needs it', async () => {
    const home = join(temporaryFolder(), 'home')
    const gates = temporaryFolder()
    const env = { PATH: pathWith(claudeFolder(script(gates))), HOME: gates, REGENT_HOME: home, REGENT_IDLE_EXIT: '2s' }
    const client = await ToolClient.stdio(env, gates, {})
    const id = (await client.ask('create_async_worker', { prompt: 'gate-1' })).data
    await client.close()
    writeFileSync(join(gates, 'gate-1'), '')
    const again = await ToolClient.stdio(env, gates, {})
    expect((await again.ask('wait', { timeout: 60 })).text).toBe(id)
    const pid = readServerFile(home)?.pid ?? 0
    await again.close()
    process.kill(pid, 'SIGTERM')
    await until(() => !existsSync(`/proc/${pid}`), 'it has ended')
  })

  it('[I5-START-02] a Regent that is told to ends when no client, agent or worker has needed it for so long', async () => {
    const world = await World.open({ REGENT_IDLE_EXIT: '1s' })
    const { pid } = world.regent
    const client = await world.stdio()
    await client.ask('create_async_worker', { prompt: 'gate-1' })
    await client.close()
    // Twice its time: the worker keeps it.
    const since = performance.now()
    await until(() => performance.now() - since > 2000, 'time has passed')
    expect(existsSync(`/proc/${pid}`)).toBe(true)
    world.open('gate-1')
    await until(() => !existsSync(`/proc/${pid}`), 'it has ended', 30_000)
  })

  it('list, cancel, read output while it runs, and show transcripts that can be watched [S4-18] [S4-19] [S4-22] [S4-24] [S4-25] [S4-26] [S4-29] [I5-MCP-01]', async () => {
    const world = await World.open()
    const client = await world.stdio()
    const id = String((await client.ask('spawn_worker', { description: 'a task', prompt: 'gate-1', options: { model: 'm' } })).data)
    expect((await client.call('spawn_worker', { description: 'a', prompt: 'b', options: { temperature: 2 } })).text).toBe(
      'Temperature must be between 0 and 1',
    )
    expect((await client.ask('list_workers')).structured).toMatchObject({ workers: [{ task_id: id, label: 'a task' }], truncated: false })
    const updated: string[] = []
    client.client.setNotificationHandler('notifications/resources/updated', ({ params }) => void updated.push(params.uri))
    await client.client.subscribeResource({ uri: `worker://${id}/transcript` })
    world.open('gate-1')
    const { structured } = await client.ask('wait', { timeout: 60, worker_id: id })
    expect(structured).toMatchObject({
      completed: [{ worker_id: id, output_file: join(world.regent.home, 'logs', `worker-${id}.json`) }],
      failed: [],
    })
    expect(JSON.parse(readFileSync(join(world.regent.home, 'logs', `worker-${id}.json`), 'utf8'))).toMatchObject({ result: 'gate-1' })
    await until(() => updated.includes(`worker://${id}/transcript`), 'the transcript is said to have changed')
    const { contents } = await client.client.readResource({ uri: `worker://${id}/transcript` })
    expect((contents[0] as { text: string }).text).toContain('> gate-1')
    expect((await client.ask('get_worker_output', { worker_id: id })).structured).toMatchObject({
      from: 0,
      ended: true,
      text: expect.stringContaining('gate-1'),
    })
    await client.ask('resume_worker', { worker_id: id, message: 'gate-2' })
    expect((await client.ask('cancel_worker', { worker_id: id })).structured).toMatchObject({ state: 'cancelled' })
  })

  it('are at /mcp too, behind the gate, each user with his own [I5-MCP-02]', async () => {
    const world = await World.open()
    const url = `${world.regent.url}/mcp`
    const env = { PATH: pathWith(world.folder) }
    for (const era of ['legacy', 'modern'] as const) {
      const client = await ToolClient.http(url, { era })
      const id = (await client.ask('create_async_worker', { prompt: 'x', env })).data
      expect((await client.ask('wait', { timeout: 60 })).text).toBe(id)
      expect((await client.call('wait', { timeout: 1 })).text).toBe('No active workers to wait for')
    }
    const { token } = await world.regent.json<{ token: string }>('token', 'create', 'bob')
    const bob = await ToolClient.http(url, { headers: { authorization: `Bearer ${token}` } })
    expect((await bob.ask('list_workers')).structured).toMatchObject({ workers: [] })
    await expect(ToolClient.http(url, { headers: { authorization: 'Bearer wrong' } })).rejects.toThrow()
    await expect(ToolClient.http(url, { headers: { origin: 'http://evil.example' } })).rejects.toThrow()
  })
})
