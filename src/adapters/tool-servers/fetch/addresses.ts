import { type LookupAddress, lookup as resolveName } from 'node:dns'
import { BlockList, isIP, type LookupFunction } from 'node:net'

/** Why an address is not connected to; `code` is what a caller may rely on. */
export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress'
}

// Two lists: in a common one an IPv4 address would match the IPv6 range of mapped addresses.
const closed4 = new BlockList()
for (const [net, bits] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
] as const)
  closed4.addSubnet(net, bits, 'ipv4')

// Beside the private ranges every one that carries an IPv4 address inside: compatible, mapped, NAT64, Teredo, 6to4.
const closed6 = new BlockList()
for (const [net, bits] of [
  ['::', 96],
  ['::ffff:0:0', 96],
  ['::ffff:0:0:0', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
  ['5f00::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
] as const)
  closed6.addSubnet(net, bits, 'ipv6')

/** Whether an address belongs to this machine, a private network, or a range that no public server has. */
export function isPrivate(address: string): boolean {
  const plain = address.split('%')[0] ?? ''
  const family = isIP(plain)
  if (family === 4) return closed4.check(plain, 'ipv4')
  return family === 6 ? closed6.check(plain, 'ipv6') : true
}

/** Throws where the host of a URL is written as a private address; a name is judged when it is resolved. */
export function checkLiteral(url: URL): void {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (isIP(host) !== 0 && isPrivate(host)) throw new PrivateAddress(host)
}

/** Resolves a name once, for exactly the connection that is made: all of its addresses must be public. */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolveName(hostname, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
    const inside = addresses?.find(({ address }) => isPrivate(address))
    const [first] = addresses ?? []
    if (error !== null) callback(error, '', 0)
    else if (inside !== undefined) callback(new PrivateAddress(inside.address), '', 0)
    else if (options.all === true) callback(null, addresses)
    else callback(null, first?.address ?? '', first?.family)
  })
}
