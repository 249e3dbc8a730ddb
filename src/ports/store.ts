import type { Limits } from '../contract/agents.ts'
import type { EventType } from '../contract/events.ts'
import type { InboxState, SayType } from '../contract/messages.ts'
import type { Policy } from '../contract/policy.ts'
import type { RunState } from '../contract/states.ts'
import type { Role } from '../contract/tokens.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { WorkersTables } from './worker-store.ts'

/** Who an agent is. `definition` holds references in place of secrets. Times are epoch ms. */
export interface AgentRow {
  readonly id: string
  readonly owner: string
  readonly name: string
  readonly kind: 'team' | 'runbook' | 'command' | 'container'
  readonly runtime: 'process' | 'docker' | 'swarm'
  readonly node: string
  readonly epoch: number
  readonly revision: number
  readonly definition: JsonObject
  readonly policy: Policy
  readonly limits: Limits
  readonly file: string | null
  /** Set when a delete was accepted: the agent is stopped first, then its row goes. */
  readonly deleting: boolean
  readonly createdAt: number
  readonly updatedAt: number
}

/** How it lives: one row per agent, written by supervision alone. */
export interface LifeRow {
  readonly agentId: string
  readonly desired: 'running' | 'stopped'
  /** Grows with each start or restart that a caller asked for; a run of a lower one is replaced. */
  readonly start: number
  readonly state: RunState
  readonly reason: string
  readonly since: number
  readonly runId: string | null
  /** Automatic restarts since `start` was raised. */
  readonly restarts: number
  /** Deaths of the present row, and of those the ones before RUNNING. */
  readonly deaths: number
  readonly earlyDeaths: number
  /** When BACKOFF ends; epoch ms, for display and for recovery. */
  readonly retryAt: number | null
  readonly exitCode: number | null
  readonly exitSignal: string | null
}

/** One life of an agent on a runtime. */
export interface RunRow {
  readonly id: string
  readonly agentId: string
  readonly node: string
  readonly epoch: number
  readonly start: number
  readonly revision: number
  readonly handle: Json
  readonly pid: number | null
  readonly startedAt: number
  readonly endedAt: number | null
  readonly exitCode: number | null
  readonly exitSignal: string | null
  /** Why it ended, in words: `exited with code 1`, `lost: …`. */
  readonly exitReason: string | null
}

/** One agent as supervision sees it: who it is, how it lives, its present or last run. */
export interface AgentRecord {
  readonly agent: AgentRow
  readonly life: LifeRow
  readonly run: RunRow | undefined
}

/** What is shown of an agent beside its own row; `waiting`: messages of its inbox. */
export interface AgentStanding {
  readonly life: LifeRow
  readonly run: RunRow | undefined
  /** undefined while it never used a model. */
  readonly usage: UsageRow | undefined
  readonly waiting: number
}

/** `number` is given by the store, in commit order. */
export interface NewEvent {
  readonly at: number
  readonly type: EventType
  readonly agentId: string | null
  readonly agent: string | null
  readonly owner: string | null
  readonly actor: string
  readonly data: JsonObject
}
export interface EventRow extends NewEvent {
  readonly number: number
}

/** A message to or from an agent; inbound ones are its durable inbox. `number` is given by the store. */
export interface NewMessage {
  readonly id: string
  readonly agentId: string
  readonly conversation: string
  readonly direction: 'in' | 'out'
  readonly type: SayType
  readonly content: Json
  readonly metadata: JsonObject
  readonly sender: string
  readonly replyTo: string | null
  readonly final: boolean
  readonly state: InboxState | null
  readonly tries: number
  readonly reason: string | null
  readonly at: number
}
export interface MessageRow extends NewMessage {
  readonly number: number
}

/** Of an agent's tool call, or of what a worker's CLI wants to do: one of `agentId` and `workerId` is null. */
export interface ApprovalRow {
  readonly id: string
  readonly agentId: string | null
  readonly workerId: string | null
  readonly messageId: string | null
  readonly subagent: string
  readonly server: string
  readonly tool: string
  readonly arguments: JsonObject
  readonly state: 'pending' | 'confirmed' | 'rejected'
  readonly default: 'confirm' | 'reject'
  readonly requestedAt: number
  readonly expiresAt: number
  readonly answeredAt: number | null
  readonly answeredBy: string | null
  readonly via: string | null
}

/** `hash`: SHA-256 of the token, hex. The token itself is never stored. */
export interface TokenRow {
  readonly id: string
  readonly hash: string
  readonly user: string
  readonly role: Role
  readonly createdAt: number
  readonly lastUsedAt: number | null
  readonly revokedAt: number | null
}

/** An accepted command: the same `(caller, key)` again has no second effect and gets the same answer. */
export interface CommandRow {
  readonly caller: string
  readonly key: string
  readonly operation: string
  /** SHA-256 of the input: the same key with another input is refused. */
  readonly inputHash: string
  readonly answer: Json
  readonly at: number
}

export interface UsageRow {
  readonly agentId: string
  readonly modelCalls: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** null once a call's price was not known. */
  readonly costUsd: number | null
}

export interface AgentFilter {
  readonly owner?: string
  readonly name?: string
  readonly kind?: AgentRow['kind']
  readonly idPrefix?: string
  /** Rows after this one in the order (owner, name). */
  readonly after?: { readonly owner: string; readonly name: string }
  readonly limit?: number
}

export interface Agents {
  /** false when (owner, name) or the id is taken. */
  insert(row: AgentRow): Promise<boolean>
  get(id: string): Promise<AgentRow | undefined>
  find(owner: string, name: string): Promise<AgentRow | undefined>
  list(filter: AgentFilter): Promise<AgentRow[]>
  count(owner?: string): Promise<number>
  update(id: string, change: Partial<Omit<AgentRow, 'id'>>): Promise<void>
  /** With its life, runs, messages, approvals and usage; events stay. */
  delete(id: string): Promise<void>
}
export interface Lives {
  insert(row: LifeRow): Promise<void>
  get(agentId: string): Promise<LifeRow | undefined>
  /** Of these agents, or of all. */
  list(agentIds?: readonly string[]): Promise<LifeRow[]>
  update(agentId: string, change: Partial<Omit<LifeRow, 'agentId'>>): Promise<void>
}
export interface Runs {
  insert(row: RunRow): Promise<void>
  get(id: string): Promise<RunRow | undefined>
  /** Newest first. */
  ofAgent(agentId: string, limit: number): Promise<RunRow[]>
  /** Every run without an end. */
  open(): Promise<RunRow[]>
  update(id: string, change: Partial<Omit<RunRow, 'id' | 'agentId'>>): Promise<void>
  /** Forgets those that ended before `at`, but for each agent's present or last run. */
  prune(at: number): Promise<number>
}
/** Rows of one agent out of several tables, by one statement. */
export interface Records {
  get(agentId: string): Promise<AgentRecord | undefined>
  /** In no order; without those that do not exist. */
  standings(agentIds: readonly string[]): Promise<AgentStanding[]>
}
export interface EventFilter {
  readonly after: number
  readonly limit: number
  readonly owner?: string
  readonly agentId?: string
  readonly types?: readonly EventType[]
  /** Only those below this number. */
  readonly before?: number
  /** newest: the last `limit` of them, still in ascending order; default oldest. */
  readonly from?: 'oldest' | 'newest'
}
export interface EventRange {
  readonly after: number
  readonly upTo?: number
  /** An empty list means none. */
  readonly types?: readonly EventType[]
}
export interface Events {
  append(event: NewEvent): Promise<number>
  /** Many at once, numbered in their order. */
  appendAll(events: readonly NewEvent[]): Promise<void>
  list(filter: EventFilter): Promise<EventRow[]>
  /** Numbers of the oldest and newest event that are kept; both 0 when there is none. */
  window(): Promise<{ readonly oldest: number; readonly newest: number }>
  /** Forgets all but the newest `keep`. */
  prune(keep: number): Promise<number>
  /** How many there are after one number and up to another, of some types or of all, and the characters of their data. */
  measure(range: EventRange): Promise<{ readonly events: number; readonly bytes: number }>
  /** Forgets those of some types; the others keep their numbers. */
  thin(range: Required<EventRange>): Promise<number>
}
export interface MessageFilter {
  readonly agentId: string
  readonly conversation?: string
  readonly after?: number
  readonly before?: number
  readonly limit: number
  /** newest: the last `limit` of them, still in ascending order. */
  readonly from: 'oldest' | 'newest'
}
export type MessagePlace = Pick<MessageRow, 'number' | 'id' | 'agentId' | 'conversation' | 'state'>

/** What its agent is sent. */
export type WaitingMessage = Pick<MessageRow, 'number' | 'id' | 'conversation' | 'content' | 'metadata' | 'sender' | 'state'>

export interface Messages {
  /** The number, or undefined when the id is taken. */
  insert(message: NewMessage): Promise<number | undefined>
  /** Many at once, numbered in their order; the numbers by id, without those whose id is taken. No id may be in it twice. */
  insertAll(messages: readonly NewMessage[]): Promise<ReadonlyMap<string, number>>
  get(id: string): Promise<MessageRow | undefined>
  /** Where they are and how they stand, in no order; without those that do not exist. */
  placesOf(ids: readonly string[]): Promise<MessagePlace[]>
  list(filter: MessageFilter): Promise<MessageRow[]>
  /** Inbound ones in state queued or delivered, in order, after `number`. */
  waiting(agentId: string, after: number, limit: number): Promise<WaitingMessage[]>
  countWaiting(agentIds?: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** Given up, of these agents or of all: the last `limit` of them, in ascending order. */
  dead(agentIds: readonly string[] | undefined, limit: number): Promise<MessageRow[]>
  /** The reply with `final` to a message. */
  finalReply(messageId: string): Promise<MessageRow | undefined>
  update(id: string, change: Partial<Pick<MessageRow, 'state' | 'tries' | 'reason'>>): Promise<void>
  /** The same state for many. */
  setState(ids: readonly string[], state: InboxState): Promise<void>
}
export interface Approvals {
  /** Inserts, or does nothing when the id is known. */
  insert(row: ApprovalRow): Promise<boolean>
  get(id: string): Promise<ApprovalRow | undefined>
  list(filter: {
    /** Of any of these agents and workers; without both lists, all. */
    readonly agentIds?: readonly string[]
    readonly workerIds?: readonly string[]
    /** Of workers alone. */
    readonly ofWorkers?: true
    readonly state?: ApprovalRow['state']
    readonly limit: number
  }): Promise<ApprovalRow[]>
  update(id: string, change: Partial<Omit<ApprovalRow, 'id'>>): Promise<void>
}
export interface Tokens {
  insert(row: TokenRow): Promise<void>
  findByHash(hash: string): Promise<TokenRow | undefined>
  get(id: string): Promise<TokenRow | undefined>
  list(): Promise<TokenRow[]>
  update(id: string, change: Partial<Pick<TokenRow, 'lastUsedAt' | 'revokedAt'>>): Promise<void>
}
export interface Commands {
  get(caller: string, key: string): Promise<CommandRow | undefined>
  insert(row: CommandRow): Promise<void>
  /** Forgets those accepted before `at`. */
  prune(at: number): Promise<number>
}
/** Named positions: how far a relay or a runner's rows have been taken in. */
export interface Cursors {
  get(name: string): Promise<number>
  set(name: string, value: number): Promise<void>
  delete(name: string): Promise<void>
}
export interface Usages {
  list(agentIds: readonly string[]): Promise<UsageRow[]>
  add(row: UsageRow): Promise<void>
}

export interface Tables extends WorkersTables {
  readonly agents: Agents
  readonly lives: Lives
  readonly runs: Runs
  readonly records: Records
  readonly events: Events
  readonly messages: Messages
  readonly approvals: Approvals
  readonly tokens: Tokens
  readonly commands: Commands
  readonly cursors: Cursors
  readonly usages: Usages
}

/** What Regent must remember. One writer; a change and the event that tells of it are one transaction. */
export interface Store {
  readonly kind: 'sqlite' | 'postgres'
  /** Where a server is that holds it, in words and without secrets. */
  readonly place?: string
  /** Reads committed rows. */
  readonly read: Tables
  /**
   * Runs `work` in a transaction and resolves once it is durable. Transactions that come close together are committed
   * together, so `work` may be run again: it must await nothing but these tables and change nothing outside.
   * What `work` throws rolls its own changes back and rejects; the others are not harmed.
   * Throws NO_SPACE when the disk is full and UNAVAILABLE when the database cannot be written.
   */
  transaction<T>(work: (tables: Tables) => Promise<T>): Promise<T>
  /** Called after every commit, in their order; with the events of that commit where the store has them at hand. */
  onCommit(listener: (events?: readonly EventRow[]) => void): void
  /** Throws UNAVAILABLE, in words, when it cannot be used. */
  check(): Promise<void>
  /** Waits for what was accepted, then closes. */
  close(): Promise<void>
}
