import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Regent } from '../helpers/regent.ts'
import { until } from '../helpers/until.ts'

it('what a deleted agent was told stayed in home for ever', async () => {
  const regent = await Regent.start()
  const agent = { kind: 'team', name: 'news', subagents: [], json_config: { default_model: 'offline' } }
  const { id } = (await regent.post('/api/v1/agents', { agent })).body as { id: string }
  expect((await regent.post(`/api/v1/agents/${id}/start`, { wait: true })).status).toBe(200)
  await regent.post(`/api/v1/agents/${id}/messages`, { content: 'remember me', wait: true })
  expect(existsSync(join(regent.home, 'agents', id, 'journal.jsonl'))).toBe(true)
  await regent.fetch(`/api/v1/agents/${id}?wait=true`, { method: 'DELETE' })
  expect(readdirSync(join(regent.home, 'agents'))).toEqual([])
  expect(readdirSync(join(regent.home, 'runs')).filter((name) => /^[0-9a-f-]{36}$/.test(name))).toEqual([])
})

it('a Regent that was told to end waited out the grace of an agent that was being stopped', async () => {
  const regent = await Regent.start()
  const command = ['sh', '-c', 'trap "" TERM; while :; do sleep 1; done']
  const agent = { kind: 'command', name: 'stubborn', command, policy: { stop_grace: 20, startsecs: 0.2 } }
  const { id } = (await regent.post('/api/v1/agents', { agent })).body as { id: string }
  await regent.post(`/api/v1/agents/${id}/start`, { wait: true })
  await regent.post(`/api/v1/agents/${id}/stop`)
  await until(async () => (await regent.fetch(`/api/v1/agents/${id}`)).body.state === 'STOPPING', 'STOPPING')
  const begun = performance.now()
  await regent.kill('SIGTERM')
  expect(performance.now() - begun).toBeLessThan(10_000)
  await regent.serve()
  expect((await regent.fetch(`/api/v1/agents/${id}`)).body.state).toMatch(/^STOPP/)
  await regent.fetch(`/api/v1/agents/${id}?wait=true`, { method: 'DELETE' })
}, 60_000)
