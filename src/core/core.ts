import type { FromRegent, FromRunner } from '../contract/link.ts'
import type { Call, OpenStream } from '../contract/operation.ts'
import type { Check } from '../contract/system.ts'
import type { Caller } from '../contract/tokens.ts'
import type { PermissionAnswer, PermissionQuestion } from '../contract/worker-link.ts'
import type { Family } from './system/families.ts'

/** What the doors hold. Everything a caller may ask goes through `call` and `open`, which validate, authorise and answer. */
export interface Core {
  readonly call: Call
  /** For operations with `reply: 'stream'`. Throws at the first step what `call` would throw. Ends when the signal aborts. */
  readonly open: OpenStream
  readonly identity: Identity
  readonly links: Links
  readonly permissions: Permissions
  /** How the parts are, within about a second, whatever hangs. Never rejects. */
  readonly checks: () => Promise<readonly Check[]>
  /** Numbers for `/metrics`, of the agents that the caller may see. */
  readonly metrics: (caller: Caller) => Promise<readonly Family[]>
}

export interface Identity {
  /** Who holds this token; undefined for an unknown or revoked one. Compares hashes in constant time. */
  byToken(token: string, via: string): Promise<Caller | undefined>
  /** Whom a tokenless local caller is taken for: the admin of this home. */
  localAdmin(via: string): Caller
}

/** One run's runner, connected. */
export interface LinkPeer {
  readonly agentId: string
  readonly runId: string
  /** Drops nothing: closes the connection instead when the other side does not read. */
  send(frame: FromRegent): void
  /** Asks the other side for a sign of life; whatever comes from it is one. */
  ping(): void
  close(reason: string): void
}

export interface LinkSession {
  /** Takes one frame in; frames of a session are handled in order. Rejects when the frame cannot be taken: the door then closes. */
  receive(frame: FromRunner): Promise<void>
  /** The other side gave a sign of life. */
  heard(): void
  /** The connection is gone. */
  detach(): void
}

/** Where the link door hands its connections to. */
export interface Links {
  /** Which run this run token stands for. */
  admit(token: string): Promise<{ readonly agentId: string; readonly runId: string } | undefined>
  attach(peer: LinkPeer): LinkSession
}

/** Where the questions of workers' CLIs come in. */
export interface Permissions {
  /**
   * What became of a question of the run that this token stands for; asked for the first time it becomes an approval. Held for a while
   * where nobody has answered. Throws UNAUTHENTICATED for a token of no live worker, TOO_MANY beyond 100 questions of a turn.
   */
  ask(token: string, question: PermissionQuestion, signal: AbortSignal): Promise<PermissionAnswer>
}
