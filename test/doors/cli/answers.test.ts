import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { fakeRegent } from '../../helpers/run-cli.ts'
import { approvalView } from '../../helpers/views.ts'

const waiting = [
  approvalView(),
  approvalView({ id: '7e3cffff-0000-4000-8000-000000000002', tool: 'write' }),
  approvalView({ id: '8888aaaa-0000-4000-8000-000000000003', state: 'confirmed', answered_by: 'bo' }),
]

const asking = () =>
  fakeRegent({
    'approvals.list': ({ state }) => ({ approvals: waiting.filter((one) => state === 'all' || one.state === state) }),
    'approvals.approve': ({ id }) => approvalView({ id: String(id), state: 'confirmed' }),
    'approvals.reject': () => {
      throw new RegentError('TOO_LATE', 'bo confirmed it already')
    },
  })

describe('regent approvals, approve, reject', () => {
  it('[I2-CLI-10] lists what waits, with what it is about', async () => {
    const regent = await asking()
    const { stdout } = await regent.run(['approvals'])
    expect(stdout.replaceAll(/1m\d+s/g, '1m59s')).toMatchInlineSnapshot(`
      "ID        AGENT       TOOL         STATE     LEFT  DEFAULT  ARGUMENTS
      7e3c1a9e  alice/news  fetch.fetch  pending  1m59s  reject   {"url":"https://example.org"}
      7e3cffff  alice/news  fetch.write  pending  1m59s  reject   {"url":"https://example.org"}
      "
    `)
    const listed = JSON.parse((await regent.run(['approvals', '--json'])).stdout)
    expect(listed).toHaveLength(2)
    expect(Object.keys(listed[0])).toEqual(expect.arrayContaining(['id', 'agent', 'server', 'tool', 'arguments', 'expires_at', 'default']))
  })

  it('prints [] when nothing waits', async () => {
    const regent = await fakeRegent({ 'approvals.list': () => ({ approvals: [] }) })
    expect(await regent.run(['approvals', '--json'])).toEqual({ code: 0, stdout: '[]\n', stderr: '' })
    expect(await regent.run(['approvals'])).toEqual({ code: 0, stdout: '', stderr: 'nothing waits for an approval\n' })
  })

  it('[I2-CLI-10] answers by id or unique prefix', async () => {
    const regent = await asking()
    expect((await regent.run(['approve', '7e3cf'])).stdout).toBe('alice/news  fetch.fetch  confirmed  {"url":"https://example.org"}\n')
    expect(JSON.parse((await regent.run(['approve', waiting[0]?.id ?? '', '--json'])).stdout)).toMatchObject({ state: 'confirmed' })
    expect(regent.api.requests.filter(({ operation }) => operation === 'approvals.approve').map(({ input }) => input.id)).toEqual([
      waiting[1]?.id,
      waiting[0]?.id,
    ])
  })

  it('refuses a prefix of several and one of none, and tells when it is too late', async () => {
    const regent = await asking()
    const several = await regent.run(['approve', '7e3c'])
    expect(several).toMatchObject({ code: 1, stdout: '' })
    expect(several.stderr).toContain('7e3c is the start of 2 approvals')
    expect((await regent.run(['approve', 'ffff'])).code).toBe(4)
    const late = await regent.run(['reject', '8888'])
    expect(late).toMatchObject({ code: 1, stderr: 'regent: bo confirmed it already\n' })
  })
})

const token = {
  id: 'abcdef01-0000-4000-8000-000000000001',
  user: 'alice',
  role: 'user',
  created_at: 1_700_000_000_000,
  last_used_at: null,
  revoked_at: null,
}

describe('regent token', () => {
  it('[I2-TOK-01] prints a new token alone on stdout, once', async () => {
    const regent = await fakeRegent({ 'tokens.create': ({ user, role }) => ({ ...token, user, role, token: 'the-secret' }) })
    const { code, stdout, stderr } = await regent.run(['token', 'create', 'alice', '--role', 'read-only'])
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'the-secret\n' })
    expect(stderr).toContain('a token for alice (read-only); it is shown only now')
    expect((await regent.run(['token', 'create', 'alice', '--role', 'king'])).code).toBe(2)
  })

  it('lists, and revokes at once, since a leaked token cannot wait', async () => {
    const regent = await fakeRegent({ 'tokens.list': () => ({ tokens: [token] }), 'tokens.revoke': () => ({ revoked: [token] }) })
    expect((await regent.run(['token', 'list'])).stdout).toMatchInlineSnapshot(`
      "ID        USER   ROLE  CREATED              LAST USED
      abcdef01  alice  user  2023-11-14 22:13:20  -
      "
    `)
    for (const yes of [[], ['-y']])
      expect((await regent.run(['token', 'revoke', 'alice', ...yes])).stdout).toBe('revoked 1 token\nabcdef01  alice\n')
  })
})
