import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { localUser } from '../../src/kernel/local-user.ts'

describe('the local user', () => {
  it('has a name that can be an owner', () => {
    expect(localUser()).toMatch(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/)
  })

  it.runIf(process.getuid?.() === 0)('is named by its number where the machine knows no name for it', async () => {
    const code = `import { localUser } from '${new URL('../../src/kernel/local-user.ts', import.meta.url)}'; console.log(localUser())`
    const told = promisify(execFile)(process.execPath, ['--input-type=module', '-e', code], { uid: 54_321, gid: 54_321, env: {}, cwd: '/' })
    expect((await told).stdout).toBe('user-54321\n')
  })
})
