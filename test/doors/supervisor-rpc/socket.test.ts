import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, lstatSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { temporaryFolder } from '../../helpers/folder.ts'
import { callText, follow, openSupervisorDoor, send } from '../../helpers/supervisor-door.ts'
import { until } from '../../helpers/until.ts'

describe('the socket', () => {
  it('is for this user alone, and goes with the door', async () => {
    const door = await openSupervisorDoor()
    expect(statSync(door.path).mode & 0o777).toBe(0o600)
    await door.door.close()
    expect(existsSync(door.path)).toBe(false)
  })

  it('of a dead server is replaced; one that is answered on, a file and a folder are not', async () => {
    const door = await openSupervisorDoor()
    const folder = temporaryFolder()
    const stale = join(folder, 'stale')
    const child = spawn(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(stale)}, () => console.log('up'))`])
    onTestFinished(() => void child.kill('SIGKILL'))
    await once(child.stdout, 'data')
    const other = await openSupervisorDoor()
    await other.door.close()
    await expect(other.door.open(stale)).rejects.toThrow('another program listens')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(lstatSync(stale).isSocket()).toBe(true)
    writeFileSync(join(folder, 'file'), 'kept')
    mkdirSync(join(folder, 'folder'))
    await expect(other.door.open(join(folder, 'file'))).rejects.toThrow('is not a socket')
    await expect(other.door.open(join(folder, 'folder'))).rejects.toThrow('is not a socket')
    await expect(other.door.open(door.path)).rejects.toThrow('another program listens')
    await expect(other.door.open(join(folder, 'x'.repeat(100)))).rejects.toThrow('too long for a socket')
    await expect(other.door.open(join(folder, 'none', 'x'))).rejects.toThrow('cannot listen')
    await other.door.open(stale)
    expect((await send(stale, 'POST', '/RPC2', callText('supervisor.getVersion', []))).status).toBe(200)
    expect(await door.call('supervisor.getVersion')).toBe('3.0')
    await other.door.close()
  })

  it('is closed to new calls at the end, which ends who waits and who follows', async () => {
    const door = await openSupervisorDoor({ limits: { graceMs: 5000 } })
    door.agent('me', 'job')
    let asked = false
    door.fake.answers.set('agents.start', async (_, { signal }) => {
      asked = true
      await once(signal, 'abort')
      throw signal.reason
    })
    const starting = door.call('supervisor.startProcess', 'job')
    const reader = await follow(door.path, '/mainlogtail')
    await until(() => asked, 'the start')
    await door.door.close()
    expect(await starting).toEqual({ fault: 6, words: expect.stringContaining('its outcome was not seen') })
    await reader.over
  })

  it('takes what is no HTTP without harm', async () => {
    const door = await openSupervisorDoor()
    const socket = connect(door.path)
    socket.on('error', () => {}).resume()
    socket.write('\0\u0001nonsense\r\n\r\n')
    await once(socket, 'close')
    expect(await door.call('supervisor.getVersion')).toBe('3.0')
  })
})
