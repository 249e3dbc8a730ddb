/** `regent/client`: Regent's operations for programs. */
export { type CallOptions, type Client, type ClientOptions, createClient, type GivenInput } from './client.ts'
export { findServer, type ServerQuery } from './find-server.ts'
export type { StreamOptions } from './stream.ts'
