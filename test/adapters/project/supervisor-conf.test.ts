import { existsSync, lstatSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { writeSupervisorConf } from '../../../src/adapters/project/files/supervisor-conf.ts'
import { temporaryFolder } from '../../helpers/folder.ts'

const confOf = (root: string): string => readFileSync(join(root, 'supervisord.conf'), 'utf8')

it('leads supervisorctl to the socket, and would start no program', async () => {
  const root = temporaryFolder()
  await writeSupervisorConf(root, '/home/me/50%/supervisor.sock')
  const lines = confOf(root).split('\n')
  expect(lines[0]).toMatch(/^; Written by Regent/)
  expect(lines).toContain('serverurl=unix:///home/me/50%%/supervisor.sock')
  expect(lines).toContain('files=agents/*/supervisor/*.ini')
  expect(lines.filter((line) => line.startsWith('['))).toEqual(['[supervisorctl]', '[include]'])
})

it('follows a home that moved, and touches nothing when it did not', async () => {
  const root = temporaryFolder()
  await writeSupervisorConf(root, '/one/supervisor.sock')
  const { ino } = statSync(join(root, 'supervisord.conf'))
  await writeSupervisorConf(root, '/one/supervisor.sock')
  expect(statSync(join(root, 'supervisord.conf')).ino).toBe(ino)
  await writeSupervisorConf(root, '/two/supervisor.sock')
  expect(confOf(root)).toContain('unix:///two/supervisor.sock')
})

it("leaves a person's own alone, a link too", async () => {
  const root = temporaryFolder()
  writeFileSync(join(root, 'supervisord.conf'), '[supervisord]\n')
  await writeSupervisorConf(root, '/one/supervisor.sock')
  expect(confOf(root)).toBe('[supervisord]\n')
  const linked = temporaryFolder()
  symlinkSync(join(linked, 'elsewhere'), join(linked, 'supervisord.conf'))
  await writeSupervisorConf(linked, '/one/supervisor.sock')
  expect(existsSync(join(linked, 'elsewhere'))).toBe(false)
  expect(lstatSync(join(linked, 'supervisord.conf')).isSymbolicLink()).toBe(true)
})

it('refuses a path that would mean something else there', async () => {
  const root = temporaryFolder()
  await expect(writeSupervisorConf(root, '/a ;b/supervisor.sock')).rejects.toThrow('cannot stand in a supervisord file')
  expect(existsSync(join(root, 'supervisord.conf'))).toBe(false)
})
