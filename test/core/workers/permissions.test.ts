import { describe, expect, it } from 'vitest'
import type { ApprovalView } from '../../../src/contract/approvals.ts'
import type { PermissionAnswer } from '../../../src/contract/worker-link.ts'
import { admin } from '../../helpers/core-world.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import type { FakeRun } from '../../helpers/fake-runtime.ts'
import { until } from '../../helpers/until.ts'
import { ann, bob, WorkerWorld } from '../../helpers/worker-world.ts'

/** A worker that asks, and the hand of its asker. */
async function asking(options: Parameters<typeof WorkerWorld.open>[0] = {}, over: object = {}) {
  const workers = await WorkerWorld.open(options)
  const { id } = await workers.create({ permissions: 'ask', ...over })
  const run = await workers.run(id)
  const ask = (request: string, tool = 'Bash', of: FakeRun = run): Promise<PermissionAnswer> =>
    workers.world.core.permissions.ask(
      of.spec.link?.token ?? '',
      { request_id: request, tool, input: { command: 'ls' } },
      new AbortController().signal,
    )
  const pending = async (count = 1): Promise<ApprovalView[]> => {
    let found: ApprovalView[] = []
    await until(async () => {
      const listed = await workers.world.call<{ approvals: ApprovalView[] }>('approvals.list', { state: 'pending', limit: 500 }, ann)
      found = listed.approvals
      return found.length >= count
    }, 'the approvals')
    return found
  }
  return { workers, id, run, ask, pending }
}

describe('a permission', () => {
  it('is one approval however often it is asked for, and its answer reaches all who ask', async () => {
    const { workers, id, ask, pending } = await asking()
    const asks = [ask('r1'), ask('r1')]
    const [approval, ...more] = await pending()
    expect(more).toEqual([])
    expect(approval).toMatchObject({ worker_id: id, agent_id: null, server: 'permissions', tool: 'Bash', arguments: { command: 'ls' } })
    expect(await workers.get(id)).toMatchObject({ pending_permissions: 1 })
    expect(await workers.world.call('approvals.approve', { id: approval?.id }, ann)).toMatchObject({
      state: 'confirmed',
      answered_by: 'ann',
    })
    const allowed = { state: 'answered', allow: true, message: null }
    expect(await Promise.all([...asks, ask('r1')])).toEqual([allowed, allowed, allowed])
    expect((await workers.events(id)).filter((type) => type.startsWith('approval.'))).toEqual(['approval.requested', 'approval.answered'])
  })

  it('takes the first answer; the late one is told so', async () => {
    const { workers, ask, pending } = await asking()
    const asked = ask('r1')
    const [approval] = await pending()
    const both = await Promise.allSettled([
      workers.world.call('approvals.reject', { id: approval?.id }, ann),
      workers.world.call('approvals.approve', { id: approval?.id }, admin),
    ])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    const isHers = both[0]?.status === 'fulfilled'
    const told = { confirmed: !isHers, by: isHers ? 'ann' : 'root' }
    expect(both.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'TOO_LATE', details: told } })
    expect(await asked).toEqual({ state: 'answered', allow: !isHers, message: isHers ? 'Permission denied by user' : null })
  })

  it('brings a wait back, with what is asked', async () => {
    const { workers, id, ask, pending } = await asking()
    const waiting = workers.wait({ permissions: true })
    void ask('r1')
    const [approval] = await pending()
    expect(await waiting).toMatchObject({
      outcome: 'permission',
      workers: [],
      active: 1,
      pending_permissions: [{ request_id: approval?.id, worker_id: id, tool: 'Bash', input: { command: 'ls' } }],
    })
  })

  it("is hidden from other users, and from a token that is no live worker's", async () => {
    const { workers, id, run, ask, pending } = await asking()
    void ask('r1')
    const [approval] = await pending()
    expect(await workers.world.call('approvals.list', { limit: 10, state: 'all' }, bob)).toEqual({ approvals: [] })
    for (const name of ['approvals.get', 'approvals.approve', 'approvals.reject'])
      await expect(workers.world.call(name, { id: approval?.id }, bob)).rejects.toMatchObject({ code: 'NOT_FOUND' })
    run.end({ kind: 'exited', code: 1, at: 1 })
    await workers.over(id)
    await expect(ask('r2')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  })

  it('is rejected when its time is over', async () => {
    const clock = new FakeClock()
    const { workers, ask, pending } = await asking({ clock }, { permission_timeout: 5 })
    const asked = ask('r1')
    const [approval] = await pending()
    // It is on record a moment before its time limit runs.
    let isOver = false
    void asked.then(() => {
      isOver = true
    })
    await until(async () => {
      clock.advance(1000)
      return isOver
    }, 'its time limit')
    expect(await asked).toEqual({ state: 'answered', allow: false, message: 'Permission denied: nobody answered in time' })
    await expect(workers.world.call('approvals.approve', { id: approval?.id }, ann)).rejects.toMatchObject({ code: 'TOO_LATE' })
  })

  it('is held for a while, and asked for again', async () => {
    const clock = new FakeClock()
    const { ask, pending } = await asking({ clock })
    const asked = ask('r1')
    await pending()
    await until(() => clock.nextIn !== undefined, 'the hold')
    let answer: PermissionAnswer | undefined
    void asked.then((found) => {
      answer = found
    })
    await until(async () => {
      clock.advance(1000)
      return answer !== undefined
    }, 'the answer')
    expect(answer).toEqual({ state: 'pending' })
  })

  it('is rejected, at the latest, once the store takes it again', async () => {
    const clock = new FakeClock()
    const { workers, ask, pending } = await asking({ clock }, { permission_timeout: 5 })
    const asked = ask('r1')
    await pending()
    let troubles = 0
    workers.world.storeTrouble = () => {
      troubles++
      throw new Error('the disk is gone')
    }
    await until(async () => {
      clock.advance(1000)
      return troubles > 0
    }, 'that it is refused')
    workers.world.storeTrouble = undefined
    await until(async () => {
      clock.advance(100)
      return (
        (await workers.world.call<{ approvals: ApprovalView[] }>('approvals.list', { state: 'pending', limit: 9 })).approvals.length === 0
      )
    }, 'its answer')
    expect(await asked).toMatchObject({ allow: false })
  })

  it('lives on over a restart of Regent, with its time limit', async () => {
    const { workers, id, ask, pending } = await asking()
    void ask('r1')
    const [approval] = await pending()
    await workers.world.reborn()
    const [after, ...more] = await pending()
    expect([after?.id, after?.expires_at, more]).toEqual([approval?.id, approval?.expires_at, []])
    const again = ask('r1')
    await workers.world.call('approvals.approve', { id: approval?.id }, ann)
    expect(await again).toMatchObject({ allow: true })
    expect((await workers.events(id)).filter((type) => type === 'approval.requested')).toHaveLength(1)
  })

  it('ends with its worker', async () => {
    const { workers, id, ask, pending } = await asking()
    const asked = ask('r1')
    const [approval] = await pending()
    await workers.cancel(id)
    expect(await asked).toMatchObject({ state: 'answered', allow: false })
    expect(await workers.world.call('approvals.get', { id: approval?.id }, ann)).toMatchObject({ state: 'rejected', answered_by: 'regent' })
  })

  it('is refused after 100 of one turn, also to those that ask at once', async () => {
    const { ask, pending } = await asking()
    const asks = Array.from({ length: 110 }, (_, n) => ask(`r${n}`).catch((error: unknown) => error))
    await pending(100)
    const refused = (await Promise.all(asks.map((one) => Promise.race([one, Promise.resolve('held')])))).filter((one) => one !== 'held')
    expect(refused).toHaveLength(10)
    for (const one of refused) expect(one).toMatchObject({ code: 'TOO_MANY', message: 'Rate limit exceeded (max 100)' })
  })

  it('is not asked for where the CLI decides, nor taken from an agent that has no questions', async () => {
    const workers = await WorkerWorld.open()
    const { id } = await workers.create()
    const run = await workers.run(id)
    expect(run.spec.link).toBeNull()
    expect(run.spec.argv.join(' ')).not.toContain('permission-prompt-tool')
    await expect(workers.create({ agent: 'command', command: ['x'], permissions: 'ask' })).rejects.toMatchObject({ code: 'INVALID' })
  })
})
