import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { findServer } from '../../src/client/index.ts'
import { temporaryFolder } from '../helpers/folder.ts'

/** A pid that was given and is free again. */
const gone = () => spawnSync('true').pid

function home(server: unknown = { url: 'http://127.0.0.1:8080', pid: process.pid, startedAt: 1 }, token = 'of-home\n'): string {
  const folder = temporaryFolder()
  if (server !== undefined) writeFileSync(join(folder, 'server.json'), typeof server === 'string' ? server : JSON.stringify(server))
  writeFileSync(join(folder, 'token'), token)
  return folder
}

describe('findServer', () => {
  it('finds the one of the home with its token', () => {
    expect(findServer({ home: home() })).toEqual({ url: 'http://127.0.0.1:8080', token: 'of-home' })
    expect(findServer({ home: home(), token: 'mine' })).toEqual({ url: 'http://127.0.0.1:8080', token: 'mine' })
    expect(findServer({ home: home(undefined, ' \n') }).token).toBeUndefined()
  })

  it('takes a given address, and sends the token of the home nowhere else', () => {
    expect(findServer({ home: home(), url: 'http://127.0.0.1:8080/' })).toEqual({ url: 'http://127.0.0.1:8080/', token: 'of-home' })
    expect(findServer({ home: home(), url: 'http://127.0.0.1:8081' }).token).toBeUndefined()
    expect(findServer({ home: home(), url: 'https://127.0.0.1:8080' }).token).toBeUndefined()
    expect(findServer({ home: home(), url: 'https://else.example', token: 'mine' }).token).toBe('mine')
  })

  it('trusts neither address nor token of a server that is gone', () => {
    const left = { url: 'http://127.0.0.1:8080', pid: gone(), startedAt: 1 }
    expect(() => findServer({ home: home(left) })).toThrow('(it last was at http://127.0.0.1:8080)')
    expect(findServer({ home: home(left), url: left.url }).token).toBeUndefined()
  })

  it.each([['{'], [{ url: 'http://127.0.0.1:1' }], [{ url: 'nowhere', pid: 1 }], [undefined]])(
    'finds none where server.json is %j',
    (server) => {
      const folder = server === undefined ? join(temporaryFolder(), 'none') : home(server)
      expect(() => findServer({ home: folder })).toThrow(
        expect.objectContaining({ code: 'UNAVAILABLE', details: { what: 'server' }, hint: expect.stringContaining('regent serve') }),
      )
    },
  )

  it('says what is wrong with an address or a home that it cannot read', () => {
    expect(() => findServer({ home: home(), url: 'localhost:8080' })).toThrow('localhost:8080 is not an http:// or https:// address')
    const folder = temporaryFolder()
    mkdirSync(join(folder, 'server.json'))
    expect(() => findServer({ home: folder })).toThrow('cannot read')
  })
})
