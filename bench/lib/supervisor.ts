import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import type { Lab } from './bench.ts'
import type { Call } from './call.ts'
import { endChild } from './programs.ts'
import { until } from './until.ts'

export interface Supervisord extends Call {
  readonly pid: number
  readonly socket: string
}

/** A supervisord of its own with `count` programs, sleeping ones unless said otherwise; why not, where it is not on this machine. */
export async function startSupervisor(
  lab: Lab,
  count: number,
  { autostart = true, command = 'sleep 100000', name = 'supervisor' } = {},
): Promise<Supervisord | string> {
  const [supervisord, supervisorctl] = [onPath('supervisord'), onPath('supervisorctl')]
  if (supervisord === undefined || supervisorctl === undefined) return 'not on this machine (Debian: apt-get install supervisor)'
  const folder = lab.folder(name)
  const [file, socket] = [join(folder, 'supervisord.conf'), join(folder, 'supervisor.sock')]
  writeFileSync(file, configuration(folder, socket, { count, autostart, command }))
  const child = spawn(supervisord, ['-n', '-c', file], { cwd: folder, stdio: 'ignore' })
  lab.defer(() => endChild(child))
  await until(() => existsSync(socket) || undefined, 'supervisord to listen')
  const env = { PATH: process.env.PATH ?? '', HOME: folder, LANG: 'C.UTF-8' }
  return { pid: child.pid ?? 0, socket, words: [supervisorctl, '-c', file, 'status'], env, shows: { text: 'RUNNING', times: count } }
}

const configuration = (
  folder: string,
  socket: string,
  { count, autostart, command }: { count: number; autostart: boolean; command: string },
): string => `[supervisord]
logfile=${folder}/supervisord.log
pidfile=${folder}/supervisord.pid
childlogdir=${folder}
[unix_http_server]
file=${socket}
[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://${socket}
[program:sleeper]
command=${command}
process_name=sleeper-%(process_num)d
numprocs=${count}
startsecs=0
autostart=${autostart}
`

function onPath(name: string): string | undefined {
  const places = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name))
  return places.find((place) => existsSync(place))
}
