import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { checkLiteral, isPrivate, publicLookup } from '../../../../src/adapters/tool-servers/fetch/addresses.ts'

describe('addresses that are not for strangers [part of F70]', () => {
  it.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '127.255.255.254',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.0.1',
    '198.18.0.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::7f00:1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::7f00:1',
    '64:ff9b:1::a00:1',
    '2001::1',
    '2002:7f00:1::',
    'fc00::1',
    'fd12:3456::1',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'not an address',
  ])('%s is one', (address) => {
    expect(isPrivate(address)).toBe(true)
  })

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.255.255',
    '172.32.0.1',
    '192.167.1.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ])('%s is not', (address) => {
    expect(isPrivate(address)).toBe(false)
  })

  it.each([
    'http://0x7f.1/',
    'http://2130706433/',
    'http://0177.0.0.1/',
    'http://[::ffff:7f00:1]/',
    'http://[64:ff9b::a9fe:a9fe]/',
    'http://127.1/',
  ])('finds one in %s', (url) => {
    expect(() => checkLiteral(new URL(url))).toThrow()
  })

  it('takes no name that leads to one', async () => {
    const lookup = promisify(publicLookup)
    await expect(lookup('localhost', { all: true })).rejects.toMatchObject({ name: 'PrivateAddress' })
    await expect(lookup('localhost', {})).rejects.toMatchObject({ name: 'PrivateAddress' })
    await expect(lookup('no-such-host.invalid', {})).rejects.toMatchObject({ syscall: 'getaddrinfo' })
  })
})
