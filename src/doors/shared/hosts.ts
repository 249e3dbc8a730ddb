/** The name and port of a Host header or of an origin; the name in lower case, an IPv6 address in its brackets. */
export interface Authority {
  readonly name: string
  readonly port: string | undefined
}

const authority = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9](?:[a-z0-9._-]{0,252}[a-z0-9])?)(?::(\d{1,5}))?$/i
const octet = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const loopback4 = new RegExp(`^127\\.${octet}\\.${octet}\\.${octet}$`)

/** `undefined` for what is not `name`, `name:port`, `[address]` or `[address]:port`. */
export function parseAuthority(text: string): Authority | undefined {
  const match = authority.exec(text)
  return match?.[1] === undefined ? undefined : { name: match[1].toLowerCase(), port: match[2] }
}

/** Whether an address, as a socket tells it, is one of this machine alone. */
export function isLoopback(address: string | undefined): boolean {
  if (address === undefined) return false
  return address === '::1' || loopback4.test(address.startsWith('::ffff:') ? address.slice(7) : address)
}

/** Names of a Host header that always mean this machine: no web page's own name can be one of them. */
export const isLocalName = (name: string): boolean => name === 'localhost' || name === '[::1]' || loopback4.test(name)

/** A socket's address as a Host header spells it. */
export function asHostName(address: string): string {
  const plain = address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
  return (plain.includes(':') ? `[${plain}]` : plain).toLowerCase()
}

/** `host:port` of an origin, its default port written out; `undefined` for `null` and for what is no http(s) origin. */
export function originAuthority(origin: string): string | undefined {
  const match = /^(https?):\/\/([^/?#@]+)$/i.exec(origin)
  const at = match?.[2] === undefined ? undefined : parseAuthority(match[2])
  return at && withPort(at, match?.[1]?.toLowerCase() === 'https' ? '443' : '80')
}

/** `name:port`, with `byDefault` where no port is written. */
export const withPort = (at: Authority, byDefault: string): string => `${at.name}:${at.port ?? byDefault}`
