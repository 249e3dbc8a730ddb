import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { create, running, seen } from '../../helpers/commands.ts'
import { getaway, ownTime, processesWith } from '../../helpers/fighters.ts'
import { Regent } from '../../helpers/regent.ts'
import { until } from '../../helpers/until.ts'

const isState = (regent: Regent, id: string, state: string) =>
  until(async () => (await seen(regent, id)).state === state, `${id} ${state}`, 20_000)
const stop = (regent: Regent, id: string) => regent.post(`/api/v1/agents/${id}/stop`, { wait: true })
const levelOf = async (regent: Regent) => String((await regent.fetch('/api/v1/status')).body.stop_level)

describe('how agents end', () => {
  it('[F01] each end is on record and told, restarted by policy alone; 126 and 127 are FATAL at once with a plain reason', async () => {
    const regent = await Regent.start()
    const cases = [
      { script: 'exit 0', never: ['EXITED', 0, null], onFailure: 'EXITED' },
      { script: 'exit 1', never: ['EXITED', 1, null], onFailure: 'FATAL' },
      { script: 'exec /nowhere/at/all', never: ['FATAL', 127, null], onFailure: 'FATAL', words: /no such program/ },
      { script: 'exec /etc/passwd', never: ['FATAL', 126, null], onFailure: 'FATAL', words: /cannot be executed/ },
      { script: 'kill -SEGV $$', never: ['EXITED', 139, 'SIGSEGV'], onFailure: 'FATAL' },
      { script: 'kill -KILL $$', never: ['EXITED', 137, 'SIGKILL'], onFailure: 'FATAL' },
    ] as const
    await Promise.all(
      cases.map(async ({ script, never, onFailure, ...more }, at) => {
        const once = await create(regent, `never-${at}`, script, { restart: 'never' })
        const again = await create(regent, `failing-${at}`, script, { restart: 'on-failure', startretries: 1 })
        for (const id of [once, again]) await regent.post(`/api/v1/agents/${id}/start`)
        await isState(regent, once, never[0])
        await isState(regent, again, onFailure)
        const ended = await seen(regent, once)
        expect(ended).toMatchObject({ state: never[0], exit_code: never[1], exit_signal: never[2], restarts: 0 })
        if ('words' in more) {
          expect(ended.reason).toMatch(more.words)
          expect((await seen(regent, again)).restarts).toBe(0)
        } else if (onFailure === 'FATAL') expect((await seen(regent, again)).restarts).toBe(1)
      }),
    )
  }, 60_000)
})

describe('a stop', () => {
  it('[F03] ends who ignores TERM and who is stopped, after the grace: KILL, 137, STOPPED', async () => {
    const regent = await Regent.start()
    for (const [name, script] of [
      ['deaf', "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
      ['frozen', 'trap "" TERM; echo ready; kill -STOP $$; while :; do sleep 0.1; done'],
    ] as const) {
      const { id } = await running(regent, name, script, { stop_grace: 0.5 })
      await until(async () => (await regent.run('logs', name)).stdout.includes('ready'), `${name} to be ready`)
      const begun = performance.now()
      expect((await stop(regent, id)).body).toMatchObject({ state: 'STOPPED', exit_code: 137, exit_signal: 'SIGKILL', survivors: [] })
      expect(performance.now() - begun).toBeLessThan(500 + 2000 + 1000)
    }
  }, 30_000)

  it('[P4] [F04] leaves nothing of an agent that sends children away by every way, within grace + 2 s, at the level of this machine', async (context) => {
    const regent = await Regent.start()
    const level = await levelOf(regent)
    if (level !== 'A' && level !== 'B') return context.skip(`this machine has stop level ${level}`)
    const own = ownTime()
    const { id } = await running(regent, 'fighter', getaway(own), { stop_grace: 0.5 })
    await until(() => processesWith(own).length >= 8, 'all of its processes')
    const begun = performance.now()
    const { body } = await stop(regent, id)
    const took = performance.now() - begun
    expect(processesWith(own)).toEqual([])
    expect(body).toMatchObject({ state: 'STOPPED', survivors: [] })
    expect(took).toBeLessThan(500 + 2000 + 1000)
  }, 30_000)

  it('[I3-STOP-02] its level is the best that was found here, and stands in /readyz and in regent doctor', async () => {
    const regent = await Regent.start()
    const level = await levelOf(regent)
    const { checks } = (await regent.fetch('/readyz')).body as { checks: { name: string; message: string }[] }
    expect(checks.find(({ name }) => name === 'stop level')?.message).toMatch(new RegExp(`^${level} `))
    expect((await regent.run('doctor')).stdout).toMatch(new RegExp(`stop level +${level} `))
    const forced = await Regent.start({ REGENT_STOP_LEVEL: 'C' })
    expect(await levelOf(forced)).toBe('C')
    expect((await forced.run('doctor')).stdout).toMatch(/stop level +C /)
  }, 30_000)

  it('[part of F04] at level D names those that it could not end', async () => {
    const regent = await Regent.start({ REGENT_STOP_LEVEL: 'D' })
    expect(await levelOf(regent)).toBe('D')
    const own = ownTime()
    const { id } = await running(regent, 'leaver', `setsid sleep ${own} & echo ready; exec sleep ${own}`)
    await until(() => processesWith(own).length === 2, 'both')
    const { body } = await stop(regent, id)
    const left = processesWith(own)
    expect(left).toHaveLength(1)
    expect(body).toMatchObject({ state: 'STOPPED', survivors: left })
    for (const pid of left) process.kill(pid, 'SIGKILL')
  }, 30_000)

  it('[F06] ends a fork bomb within two seconds, while other agents start as ever', async (context) => {
    const regent = await Regent.start()
    if ((await levelOf(regent)) !== 'A' || !existsSync('/usr/bin/perl'))
      return context.skip('no cgroups for agents here, or no perl for the bomb')
    const slowest = async (name: string) => {
      const taken: number[] = []
      for (let at = 0; at < 5; at++) {
        const id = await create(regent, `${name}-${at}`, 'exec sleep 1000', { startsecs: 0 })
        const begun = performance.now()
        await regent.post(`/api/v1/agents/${id}/start`, { wait: true })
        taken.push(performance.now() - begun)
      }
      return Math.max(...taken)
    }
    const normal = await slowest('before')
    const own = ownTime()
    const agent = {
      kind: 'command',
      name: 'bomb',
      // It goes on forking where it may not; a shell would give up.
      command: ['perl', '-e', `while (1) { fork } # ${own}`],
      policy: { startsecs: 0, stop_grace: 0 },
      limits: { pids: 60, cpus: 0.5 },
    }
    const id = String((await regent.post('/api/v1/agents', { agent, start: true })).body.id)
    await until(() => processesWith(own).length >= 20, 'the bomb to have gone off')
    expect(processesWith(own).length).toBeLessThanOrEqual(60)
    // Twice as long as before, and what a busy machine of two cores adds by itself.
    expect(await slowest('beside')).toBeLessThan(2 * normal + 500)
    const begun = performance.now()
    expect((await stop(regent, id)).body).toMatchObject({ state: 'STOPPED', survivors: [] })
    expect(performance.now() - begun).toBeLessThan(2000 + 1000)
    expect(processesWith(own)).toEqual([])
  }, 60_000)
})
