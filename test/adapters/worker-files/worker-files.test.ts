import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createWorkerFiles } from '../../../src/adapters/worker-files/worker-files.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

const id = '0c1e1a9e-0000-4000-8000-000000000001'
const other = '0c1e1a9e-0000-4000-8000-000000000002'
const modeOf = (path: string): number => statSync(path).mode & 0o777

describe('files of workers', () => {
  it('keeps what the last turn printed, for its owner alone', async () => {
    const dir = temporaryFolder()
    const files = createWorkerFiles({ dir })
    expect(await files.readOutput(id)).toBeUndefined()
    await files.writeOutput(id, 'first')
    const path = await files.writeOutput(id, '{"result":"42 – done"}')
    expect(path).toBe(join(dir, 'logs', `worker-${id}.json`))
    expect(await files.readOutput(id)).toBe('{"result":"42 – done"}')
    expect([modeOf(path), modeOf(join(dir, 'logs'))]).toEqual([0o600, 0o700])
    expect(readdirSync(join(dir, 'logs'))).toEqual([`worker-${id}.json`])
  })

  it('makes folders of their own, again and again', async () => {
    const dir = temporaryFolder()
    const files = createWorkerFiles({ dir })
    const folder = await files.folder(id)
    writeFileSync(join(folder, 'kept'), '')
    expect(await files.folder(id)).toBe(join(dir, 'work', id))
    expect(readdirSync(folder)).toEqual(['kept'])
    expect(modeOf(folder)).toBe(0o700)
    expect(await Promise.all([folder, join(folder, 'kept'), join(dir, 'none')].map((path) => files.isFolder(path)))).toEqual([
      true,
      false,
      false,
    ])
  })

  it('removes those of one worker, and nothing is success', async () => {
    const files = createWorkerFiles({ dir: temporaryFolder() })
    const [output, folder] = [await files.writeOutput(id, 'x'), await files.folder(id)]
    const kept = await files.writeOutput(other, 'y')
    await files.remove(id)
    await files.remove(id)
    expect([output, folder, kept].map((path) => existsSync(path))).toEqual([false, false, true])
  })

  it('takes nothing for a name that is no id, and tells what is wrong with its folder', async () => {
    const dir = temporaryFolder()
    const files = createWorkerFiles({ dir })
    for (const bad of ['../x', '', 'a/b'])
      expect(() => files.writeOutput(bad, '')).toThrowError(expect.objectContaining({ code: 'BAD_REQUEST' }))
    writeFileSync(join(dir, 'logs'), '')
    await expect(files.writeOutput(id, 'x')).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('cannot be used'),
    })
  })
})
