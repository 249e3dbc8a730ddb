import { describe, expect, it } from 'vitest'
import { RegentError } from '../../../src/kernel/errors.ts'
import { FakeClock } from '../../helpers/fake-clock.ts'
import { callText, openSupervisorDoor, type SupervisorDoor } from '../../helpers/supervisor-door.ts'
import { until } from '../../helpers/until.ts'

const running = {
  state: 'RUNNING',
  pid: 99,
  uptime_ms: 93_784_000,
  run_id: 'r',
  revision: 1,
  running_revision: 1,
  desired: 'running',
} as const

const infoOf = async (door: SupervisorDoor, name: string) => (await door.call('supervisor.getProcessInfo', name)) as Record<string, unknown>

describe('what is told of programs', () => {
  it('has the words and numbers of supervisord for each state', async () => {
    const door = await openSupervisorDoor()
    const at = new Date(2026, 10, 20, 15, 4).getTime()
    const ended = { run_id: 'r', since: at, pid: null, uptime_ms: null }
    door.agent('me', 'run', running)
    door.agent('me', 'new')
    door.agent('me', 'off', { ...ended, state: 'STOPPED' })
    door.agent('me', 'done', { ...ended, state: 'EXITED', exit_code: 3 })
    door.agent('me', 'up', { ...running, state: 'STARTING' })
    door.agent('me', 'down', { ...running, state: 'STOPPING' })
    door.agent('me', 'again', { ...ended, state: 'BACKOFF', exit_code: 1, reason: 'exited with code 1; restarted in 2.0 s' })
    door.agent('me', 'dead', { ...ended, state: 'FATAL', exit_code: 1, reason: 'exited with code 1, given up' })
    door.agent('me', 'none', { ...ended, state: 'FATAL', exit_code: 127, reason: 'no such program' })
    door.agent('me', 'lost', { ...running, state: 'UNKNOWN', reason: 'cannot be asked' })
    expect(await infoOf(door, 'run')).toMatchObject({
      ...{ name: 'me_run_agent', group: 'me_run_agent', statename: 'RUNNING', state: 20, pid: 99, stop: 0, exitstatus: 0, spawnerr: '' },
      description: 'pid 99, uptime 1 day, 2:03:04',
    })
    const told = async (name: string) => {
      const { state, statename, description, pid } = await infoOf(door, name)
      return [state, statename, description, pid]
    }
    expect(await told('new')).toEqual([0, 'STOPPED', 'Not started', 0])
    expect(await told('off')).toEqual([0, 'STOPPED', 'Nov 20 03:04 PM', 0])
    expect(await told('done')).toEqual([100, 'EXITED', 'Nov 20 03:04 PM', 0])
    expect(await infoOf(door, 'done')).toMatchObject({ exitstatus: 3, stop: at / 1000 })
    expect(await told('up')).toEqual([10, 'STARTING', '', 99])
    expect(await told('down')).toEqual([40, 'STOPPING', '', 99])
    expect(await told('again')).toEqual([30, 'BACKOFF', 'exited with code 1; restarted in 2.0 s', 0])
    expect(await told('dead')).toEqual([200, 'FATAL', 'Exited too quickly (process log may have details): exited with code 1, given up', 0])
    expect(await told('none')).toEqual([200, 'FATAL', 'no such program', 0])
    expect(await told('lost')).toEqual([1000, 'UNKNOWN', 'cannot be asked', 99])
    expect(await infoOf(door, 'agent_manager')).toMatchObject({ state: 20, pid: 4711, description: 'pid 4711, uptime 0:01:01' })
    const all = (await door.call('supervisor.getAllProcessInfo')) as { name: string }[]
    expect(all.map(({ name }) => name)).toEqual(all.map(({ name }) => name).toSorted())
    expect(all).toHaveLength(11)
  })

  it('comes with the versions that supervisorctl looks at', async () => {
    const door = await openSupervisorDoor()
    expect(await door.call('supervisor.getVersion')).toBe('3.0')
    expect(await door.call('supervisor.getAPIVersion')).toBe('3.0')
    expect(await door.call('supervisor.getSupervisorVersion')).toBe('0.0.0-test')
    expect(await door.call('supervisor.getIdentification')).toBe('regent')
    expect(await door.call('supervisor.getState')).toEqual({ statecode: 1, statename: 'RUNNING' })
    expect(await door.call('supervisor.getPID')).toBe(4711)
    const names = (await door.call('system.listMethods')) as string[]
    expect(names).toContain('supervisor.startProcess')
    expect(names).toContain('system.multicall')
    for (const name of names) expect(await door.call('system.methodHelp', name)).toMatch(/\w/)
    expect(await door.call('system.methodSignature', 'supervisor.startProcess')).toEqual(['boolean', 'string', 'boolean'])
    expect(await door.call('system.methodHelp', 'no.such')).toEqual({ fault: 4, words: 'SIGNATURE_UNSUPPORTED: no.such' })
  })
})

describe('start, stop and signal', () => {
  it('call the core as the admin of this home, by id', async () => {
    const door = await openSupervisorDoor()
    const { id } = door.agent('me', 'job')
    expect(await door.call('supervisor.startProcess', 'me_job_agent')).toBe(true)
    expect(await door.call('supervisor.startProcess', 'job')).toEqual({ fault: 60, words: 'ALREADY_STARTED: me_job_agent' })
    expect(await door.call('supervisor.stopProcess', 'me/job', false)).toBe(true)
    expect(await door.call('supervisor.stopProcess', 'me/job')).toEqual({ fault: 70, words: 'NOT_RUNNING: me_job_agent' })
    const changes = door.fake.seen.filter(({ name }) => name === 'agents.start' || name === 'agents.stop')
    expect(changes.map(({ name, input }) => [name, input])).toEqual([
      ['agents.start', { agent: id, wait: true }],
      ['agents.stop', { agent: id, wait: false }],
    ])
    expect(changes[0]?.context.caller).toEqual({ user: 'me', role: 'admin', via: 'supervisorctl' })
  })

  it.each([
    ['START_FAILED', { state: 'BACKOFF' }, 50],
    ['START_FAILED', { state: 'FATAL' }, 50],
    ['START_FAILED', { state: 'EXITED' }, 40],
    ['NOT_FOUND', { what: 'agent-file' }, 20],
    ['NOT_FOUND', { what: 'agent' }, 10],
    ['TIMED_OUT', {}, 40],
    ['UNAVAILABLE', {}, 40],
  ] as const)('a start that fails with %s %o is a fault that supervisorctl knows', async (code, details, fault) => {
    const door = await openSupervisorDoor()
    door.agent('me', 'job')
    door.fake.answers.set('agents.start', () => {
      throw new RegentError(code, 'words of it', { details })
    })
    expect(await door.call('supervisor.startProcess', 'job')).toEqual({ fault, words: expect.stringContaining('words of it') })
    expect(await door.call('supervisor.startProcessGroup', 'job')).toEqual([
      { name: 'me_job_agent', group: 'me_job_agent', status: fault, description: expect.stringContaining('words of it') },
    ])
  })

  it('says which pids outlived a stop', async () => {
    const door = await openSupervisorDoor()
    const agent = door.agent('me', 'job', running)
    door.fake.answers.set('agents.stop', () => ({ ...agent, survivors: [7, 8] }))
    expect(await door.call('supervisor.stopProcess', 'job')).toEqual({ fault: 30, words: 'FAILED: me_job_agent: still alive: pid 7, 8' })
  })

  it('leave Regent itself out of all', async () => {
    const door = await openSupervisorDoor()
    const one = door.agent('me', 'one', running)
    const two = door.agent('me', 'two', running)
    const off = door.agent('me', 'off')
    door.fake.answers.set('agents.stop_all', ({ agents }) => ({
      agents: (agents as string[]).map((id) => ({ ...one, id, survivors: id === two.id ? [5] : [] })),
    }))
    expect(await door.call('supervisor.stopAllProcesses')).toEqual([
      { name: 'me_one_agent', group: 'me_one_agent', status: 80, description: 'OK' },
      { name: 'me_two_agent', group: 'me_two_agent', status: 30, description: 'FAILED: me_two_agent: still alive: pid 5' },
    ])
    expect(door.fake.seen.find(({ name }) => name === 'agents.stop_all')?.input).toEqual({ agents: [one.id, two.id], wait: true })
    expect(await door.call('supervisor.startAllProcesses')).toEqual([
      { name: 'me_off_agent', group: 'me_off_agent', status: 80, description: 'OK' },
    ])
    expect(door.fake.agents.get(off.id)?.state).toBe('RUNNING')
    expect(await door.call('supervisor.startProcess', 'agent_manager')).toMatchObject({ fault: 60 })
    expect(await door.call('supervisor.signalProcess', 'agent_manager', 'HUP')).toMatchObject({ fault: 30 })
    expect(door.ended()).toBe(0)
  })

  it('send signals by name or number, those alone that agents may get', async () => {
    const door = await openSupervisorDoor()
    const { id } = door.agent('me', 'job', running)
    door.agent('me', 'off')
    const sent: unknown[] = []
    door.fake.answers.set('agents.signal', (input) => {
      sent.push(input)
      return { sent: true, pid: 99 }
    })
    for (const word of ['HUP', 'SIGUSR1', '15', 'hup']) expect(await door.call('supervisor.signalProcess', 'job', word)).toBe(true)
    expect(sent).toEqual(['HUP', 'USR1', 'TERM', 'HUP'].map((signal) => ({ agent: id, signal })))
    for (const word of ['FOO', '99', '11', '', 'constructor'])
      expect(await door.call('supervisor.signalProcess', 'job', word)).toEqual({ fault: 11, words: `BAD_SIGNAL: ${word}` })
    expect(await door.call('supervisor.signalProcess', 'off', 'HUP')).toMatchObject({ fault: 70 })
    expect(await door.call('supervisor.signalAllProcesses', 'HUP')).toMatchObject([{ name: 'me_job_agent', status: 80 }])
    expect(await door.call('supervisor.signalProcessGroup', 'job', 'FOO')).toMatchObject([{ status: 11 }])
    door.fake.answers.set('agents.signal', () => {
      throw new RegentError('ILLEGAL_STATE', 'it ended')
    })
    expect(await door.call('supervisor.signalProcess', 'job', 'HUP')).toMatchObject({ fault: 70 })
  })

  it('know no standard input', async () => {
    const door = await openSupervisorDoor()
    door.agent('me', 'job', running)
    expect(await door.call('supervisor.sendProcessStdin', 'job', 'x')).toEqual({ fault: 20, words: expect.stringContaining('regent send') })
  })
})

describe('reread, update, add and remove', () => {
  it('tell what is new since Regent began, until it was added', async () => {
    const door = await openSupervisorDoor({ before: (fake) => void fake.agents.clear() })
    expect(await door.call('supervisor.reloadConfig')).toEqual([[[], [], []]])
    const { id } = door.agent('me', 'job')
    expect(await door.call('supervisor.reloadConfig')).toEqual([[['me_job_agent'], [], []]])
    expect(await door.call('supervisor.getAllConfigInfo')).toMatchObject([{ name: 'me_job_agent', inuse: false, autostart: false }])
    expect(await door.call('supervisor.addProcessGroup', 'me_job_agent')).toBe(true)
    expect(await door.call('supervisor.addProcessGroup', 'me_job_agent')).toEqual({ fault: 90, words: 'ALREADY_ADDED: me_job_agent' })
    expect(await door.call('supervisor.reloadConfig')).toEqual([[[], [], []]])
    expect(door.fake.agents.get(id)?.state).toBe('STOPPED')
  })

  it('an update stops and starts what runs with an older definition', async () => {
    const door = await openSupervisorDoor()
    const agent = door.agent('me', 'job', { ...running, revision: 2 })
    door.agent('me', 'same', running)
    door.fake.answers.set('agents.stop_all', () => {
      door.fake.agents.set(agent.id, { ...agent, state: 'STOPPED', pid: null, uptime_ms: null, running_revision: null })
      return { agents: [{ ...agent, survivors: [] }] }
    })
    expect(await door.call('supervisor.reloadConfig')).toEqual([[[], ['me_job_agent'], []]])
    expect(await door.call('supervisor.removeProcessGroup', 'me_job_agent')).toEqual({ fault: 91, words: 'STILL_RUNNING: me_job_agent' })
    expect(await door.call('supervisor.stopProcessGroup', 'me_job_agent')).toMatchObject([{ status: 80 }])
    expect(await door.call('supervisor.removeProcessGroup', 'me_job_agent')).toBe(true)
    expect(await door.call('supervisor.addProcessGroup', 'me_job_agent')).toBe(true)
    expect(door.fake.agents.get(agent.id)?.state).toBe('RUNNING')
    expect(door.fake.changes).toEqual(['agents.start'])
  })

  it('remove takes a stopped one out of the list, and deletes nothing', async () => {
    const door = await openSupervisorDoor()
    const { id } = door.agent('me', 'job')
    expect(await door.call('supervisor.removeProcessGroup', 'me_job_agent')).toBe(true)
    expect(await door.call('supervisor.getProcessInfo', 'me_job_agent')).toEqual({ fault: 10, words: 'BAD_NAME: me_job_agent' })
    expect(await door.call('supervisor.getAllProcessInfo')).toHaveLength(1)
    expect(await door.call('supervisor.reloadConfig')).toEqual([[['me_job_agent'], [], []]])
    expect(door.fake.agents.has(id)).toBe(true)
    expect(await door.call('supervisor.addProcessGroup', 'me_job_agent')).toBe(true)
    expect(await infoOf(door, 'me_job_agent')).toMatchObject({ statename: 'STOPPED' })
    expect(await door.call('supervisor.removeProcessGroup', 'agent_manager')).toMatchObject({ fault: 10 })
    expect(await door.call('supervisor.removeProcessGroup', 'nobody')).toMatchObject({ fault: 10 })
  })

  it('shutdown ends Regent after the answer, and restart is followed by another', async () => {
    const door = await openSupervisorDoor()
    expect(await door.call('supervisor.restart')).toBe(true)
    await until(() => door.restarted() === 1, 'the restart')
    expect(await door.call('supervisor.shutdown')).toBe(true)
    await until(() => door.ended() === 1, 'the end')
  })

  it('agent_manager is stopped, unless a start follows at once: then it is restarted', async () => {
    const clock = new FakeClock()
    const door = await openSupervisorDoor({ clock })
    expect(await door.call('supervisor.stopProcess', 'agent_manager')).toBe(true)
    expect(await door.call('supervisor.stopProcess', 'agent_manager')).toMatchObject({ fault: 70 })
    expect(await door.call('supervisor.startProcess', 'agent_manager')).toBe(true)
    await until(() => door.restarted() === 1, 'the restart')
    const other = await openSupervisorDoor({ clock })
    expect(await other.call('supervisor.stopProcess', 'agent_manager')).toBe(true)
    clock.advance(2000)
    await until(() => other.ended() === 1, 'the end')
    expect(door.ended()).toBe(0)
  })
})

describe('what is wrong', () => {
  it('is a fault, and nothing was changed', async () => {
    const door = await openSupervisorDoor()
    door.agent('me', 'job')
    for (const method of [
      'supervisor.nothing',
      'nothing',
      'supervisor.getVersion.x',
      'supervisor._update',
      'supervisor.constructor',
      '__proto__',
    ])
      expect(await door.call(method)).toEqual({ fault: 1, words: `UNKNOWN_METHOD: ${method}` })
    expect(await door.call('supervisor.startProcess')).toEqual({ fault: 2, words: 'INCORRECT_PARAMETERS: it takes string, boolean?' })
    expect(await door.call('supervisor.startProcess', 'job', true, 1)).toMatchObject({ fault: 2 })
    expect(await door.call('supervisor.startProcess', 5)).toEqual({
      fault: 2,
      words: 'INCORRECT_PARAMETERS: parameter 1 must be of type string',
    })
    expect(await door.call('supervisor.startProcess', ['job'])).toMatchObject({ fault: 2 })
    expect(await door.call('supervisor.startProcess', { a: 'job' })).toMatchObject({ fault: 2 })
    expect(await door.call('supervisor.startProcess', 'job', 'yes')).toMatchObject({ fault: 2 })
    expect(await door.call('supervisor.getVersion', 1)).toEqual({ fault: 2, words: 'INCORRECT_PARAMETERS: it takes none' })
    expect(await door.call('supervisor.readLog', 'a', 'b')).toMatchObject({ fault: 2 })
    expect(await door.post('<!DOCTYPE x><methodCall/>')).toEqual({
      status: 400,
      body: expect.stringContaining('declarations of types are not taken'),
    })
    expect(await door.post('')).toMatchObject({ status: 400 })
    expect(await door.post(callText('supervisor.startProcess', ['job']), '/other')).toMatchObject({ status: 404 })
    expect(door.fake.changes).toEqual([])
  })

  it('too large a body is told so, and the next call works', async () => {
    const door = await openSupervisorDoor()
    const answer = await door.post(Buffer.alloc(10 << 20, 'x'))
    expect(answer).toEqual({ status: 413, body: expect.stringContaining('1048576 bytes at most') })
    expect(await door.call('supervisor.getVersion')).toBe('3.0')
  })

  it('an error of the core that nobody foresaw is told without its words', async () => {
    const door = await openSupervisorDoor()
    door.fake.answers.set('agents.list', () => {
      throw new TypeError('secret words')
    })
    expect(await door.call('supervisor.getAllProcessInfo')).toEqual({ fault: 30, words: 'FAILED: something went wrong inside Regent' })
    expect(door.logs.text()).toContain('secret words')
  })

  it('in one of several calls leaves the others', async () => {
    const door = await openSupervisorDoor()
    const calls = [
      { methodName: 'supervisor.getVersion', params: [] },
      { methodName: 'supervisor.getProcessInfo', params: ['nobody'] },
      { methodName: 'system.multicall', params: [] },
      { params: [] },
      'words',
      { methodName: 'supervisor.getPID' },
    ]
    expect(await door.call('system.multicall', calls)).toEqual([
      '3.0',
      { faultCode: 10, faultString: 'BAD_NAME: nobody' },
      { faultCode: 2, faultString: 'INCORRECT_PARAMETERS: Recursive system.multicall forbidden' },
      { faultCode: 2, faultString: 'INCORRECT_PARAMETERS: No methodName' },
      { faultCode: 2, faultString: 'INCORRECT_PARAMETERS: No methodName' },
      4711,
    ])
    const many = Array.from({ length: 257 }, () => ({ methodName: 'supervisor.getPID' }))
    expect(await door.call('system.multicall', many)).toMatchObject({ fault: 2 })
  })
})
