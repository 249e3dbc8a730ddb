import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { makeGroups, openPlaces, set, settingsFor } from '../../../../src/adapters/runtimes/process/run-groups.ts'
import { temporaryFolder } from '../../../helpers/folder.ts'

const files = (dir: string, contents: Record<string, string>) => {
  mkdirSync(dir, { recursive: true })
  for (const [name, text] of Object.entries(contents)) writeFileSync(join(dir, name), text)
}

/** Folders that look like a hierarchy of version 2 with controllers, as systemd hands it to a service of a user. */
function hierarchy(own: string) {
  const top = temporaryFolder()
  const controllers = { 'cgroup.controllers': 'cpu memory pids\n', 'cgroup.subtree_control': 'cpu memory pids\n', 'cgroup.procs': '' }
  const service = join(top, 'user.slice/regent.service')
  files(service, controllers)
  files(join(service, 'supervisor'), { ...controllers, 'cgroup.procs': '7\n' })
  files(join(service, 'regent-home'), controllers)
  const limits = { 'memory.max': '', 'memory.swap.max': '', 'cpu.max': '', 'pids.max': '' }
  files(join(service, 'regent-home', 'run'), limits)
  const source = { mountinfo: `41 31 0:38 / ${top} rw - cgroup2 cgroup2 rw`, self: `0::/user.slice/regent.service/${own}`, root: false }
  return { service, source }
}

it('one group of version 2 holds all limits, beside the group that systemd put Regent into', () => {
  const { service, source } = hierarchy('supervisor')
  const { places, missing } = openPlaces('regent-home', source)
  const place = { version: 2, dir: join(service, 'regent-home') }
  expect({ places, missing }).toEqual({ places: { all: place, memory: place, cpu: place, pids: place, cpuacct: place }, missing: {} })
  set(settingsFor(makeGroups(places, 'run'), { memory_bytes: 1024 * 1024, cpus: 0.5, pids: 20 }))
  const written = (name: string) => readFileSync(join(place.dir, 'run', name), 'utf8').trim()
  expect(['memory.max', 'cpu.max', 'pids.max'].map(written)).toEqual(['1048576', '50000 100000', '20'])
  expect(written('memory.swap.max')).toBe('0')
})

it('nothing is there to be had where nothing may be made', () => {
  const source = { mountinfo: '41 31 0:38 / /proc/nowhere rw - cgroup2 cgroup2 rw', self: '0::/', root: true }
  const { places, missing } = openPlaces('regent-home', source)
  expect(places).toEqual({})
  expect(missing.memory).toMatch(/ENOENT|may make no cgroups/)
})
