import { describe, expect, it } from 'vitest'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { agentDetail } from '../../helpers/views.ts'

const at = Date.UTC(2001, 0, 2, 3, 4, 5)
const told = (number: number, state: string | null, text: string) => ({ number, at, type: 'run.running', actor: 'regent', state, text })

const schedules = [
  { cron: '0 7 * * 1-5', timezone: 'Europe/Berlin', action: 'start', next: at },
  { cron: '@daily', timezone: 'UTC', action: 'restart', next: null },
]

const limits = { memory_bytes: 512 * 2 ** 20, cpus: 0.5, open_files: 100 }

/** An agent with 1200 entries behind it, which are answered as asked. */
const regentWith = () =>
  fakeRegent({
    'agents.get': () =>
      agentDetail({ name: 'news', health: 'unhealthy', ready: false, schedules, limits, pid: 7, uptime_ms: 5000, restarts: 1 }),
    'agents.timeline': ({ limit, before }) => {
      const end = before === undefined ? 1200 : Number(before) - 1
      const first = Math.max(1, end - Number(limit) + 1)
      const entries = Array.from({ length: Math.max(0, end - first + 1) }, (_, index) =>
        told(first + index, 'RUNNING', `up ${first + index}`),
      )
      return { state: 'RUNNING', why: 'It has been running for 3 min.', entries }
    },
  })

describe('regent show', () => {
  it('tells why the agent is in its state, and the last ten things that happened', async () => {
    const { stdout } = await (await regentWith()).run(['show', 'news'])
    expect(stdout).toContain('why        It has been running for 3 min.\n')
    expect(stdout).toContain('health     unhealthy, not ready\n')
    expect(stdout).toContain('schedules  start at 0 7 * * 1-5 Europe/Berlin, next 2001-01-02 03:04:05; restart at @daily UTC, next never\n')
    expect(stdout).toContain('process    7, up 5s, restarted once\n')
    expect(stdout).toContain('limits     memory 512MiB, cpus 0.5, open files 100\n')
    expect(stdout).toContain('timeline\n  2001-01-02 03:04:05  RUNNING   up 1191\n')
    expect(stdout.match(/ up \d+$/gm)).toHaveLength(10)
  })

  it('--timeline tells all of it, however much there is, or the last N', async () => {
    const regent = await regentWith()
    const whole = (await regent.run(['show', 'news', '--timeline'])).stdout.trimEnd().split('\n')
    expect(whole).toHaveLength(1201)
    expect(whole[0]).toBe('alice/news  RUNNING  It has been running for 3 min.')
    expect(whole[1]).toMatch(/up 1$/)
    expect(whole[1200]).toMatch(/up 1200$/)
    const some = await regent.run(['show', 'news', '--timeline', '-n', '3', '--json'])
    expect(JSON.parse(some.stdout)).toMatchObject({
      agent: 'alice/news',
      state: 'RUNNING',
      entries: [{ number: 1198 }, { number: 1199 }, {}],
    })
  })
})
