import type { FastifyInstance } from 'fastify'
import { onTestFinished } from 'vitest'
import { listen } from '../../src/doors/http/listeners.ts'
import { createHttpServer, type HttpServerOptions } from '../../src/doors/http/server.ts'
import { createGate, type Gate, type GateOptions } from '../../src/doors/shared/gate.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { createFakeCore, type FakeCore } from './fake-core.ts'
import { type CollectingLogger, collectingLogger } from './logs.ts'

export const ADMIN = 'admin-token-0123456789'
export const ALICE = 'alice-token-0123456789'
export const BOB = 'bob-token-0123456789'
export const READER = 'reader-token-0123456789'

export interface Door {
  readonly app: FastifyInstance
  readonly fake: FakeCore
  readonly gate: Gate
  readonly logs: CollectingLogger
}

export type DoorOptions = Partial<Pick<HttpServerOptions, 'limits' | 'docs'>> & {
  readonly gate?: Partial<GateOptions>
  readonly upgrades?: (parts: Omit<Door, 'app'>) => HttpServerOptions['upgrades']
}

/** An HTTP door over a fake core with the tokens above; closed with the test. */
export function createDoor(options: DoorOptions = {}): Door {
  const fake = createFakeCore()
  fake.tokens.set(ADMIN, { user: 'me', role: 'admin', via: '' })
  fake.tokens.set(ALICE, { user: 'alice', role: 'user', via: '' })
  fake.tokens.set(BOB, { user: 'bob', role: 'user', via: '' })
  fake.tokens.set(READER, { user: 'alice', role: 'read-only', via: '' })
  const logs = collectingLogger()
  const gate = createGate({
    identity: fake.core.identity,
    auth: 'auto',
    allowedHosts: [],
    allowedOrigins: [],
    uid: process.getuid?.(),
    clock: systemClock,
    ...options.gate,
  })
  const upgrades = options.upgrades?.({ fake, gate, logs })
  const app = createHttpServer({
    core: fake.core,
    gate,
    logger: logs,
    version: '0.0.0-test',
    ...(options.limits && { limits: options.limits }),
    ...(options.docs !== undefined && { docs: options.docs }),
    ...(upgrades && { upgrades }),
  })
  onTestFinished(() => app.close())
  return { app, fake, gate, logs }
}

/** The same, listening on a free port of loopback. */
export async function openDoor(options: DoorOptions = {}): Promise<Door & { readonly port: number; readonly url: string }> {
  const door = createDoor(options)
  const port = await listen(door.app, { host: '127.0.0.1', port: 0 })
  return { ...door, port, url: `http://127.0.0.1:${port}` }
}

export const as = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` })
