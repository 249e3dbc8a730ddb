import type { Budget, FailureKind, Judge, RaceState, WorkerSpec, WorkerState } from '../contract/workers.ts'
import type { Json, JsonObject } from '../kernel/json.ts'

/** One task of a coding agent, with its present or last turn. Times are epoch ms. */
export interface WorkerRow {
  readonly id: string
  readonly owner: string
  readonly namespace: string
  readonly label: string | null
  readonly agent: string
  /** Without what has a column of its own. */
  readonly spec: Omit<WorkerSpec, 'agent' | 'timeout' | 'budget'> & { readonly env: Readonly<Record<string, string>> }
  /** Under which id the secrets are kept that its variables refer to; workers of an owner with the same ones share it. */
  readonly secretsId: string | null
  readonly budget: Budget
  /** ms */
  readonly timeout: number
  readonly priority: number
  readonly state: WorkerState
  readonly reason: string
  /** `cancel`: it is to be ended. */
  readonly wanted: 'run' | 'cancel'
  /** Its end was handed to a waiter; false while it is active. */
  readonly claimed: boolean
  readonly turn: number
  readonly prompt: string
  /** Where its files are: its worktree, or the folder it was given; null before its first start. */
  readonly cwd: string | null
  readonly branch: string | null
  readonly sessionId: string | null
  /** Its CLI has begun the session, so that the next turn resumes it. */
  readonly begun: boolean
  /** Whether Regent started it with an account of its own choice (false) or that of the caller, who is the owner of this Regent (true). */
  readonly trusted: boolean
  readonly runId: string | null
  readonly handle: Json
  readonly pid: number | null
  /** How many lines of the run's stdout were taken in. */
  readonly lines: number
  /** Starts of this turn that came to a provider's limit. */
  readonly attempts: number
  readonly retryAt: number | null
  readonly exitCode: number | null
  readonly result: string | null
  readonly failureKind: FailureKind | null
  readonly failure: string | null
  readonly errorHint: string | null
  readonly outputFile: string | null
  /** Of all turns. */
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number | null
  /** ms */
  readonly ranFor: number
  readonly raceId: string | null
  readonly createdAt: number
  readonly queuedAt: number
  readonly startedAt: number | null
  readonly endedAt: number | null
}

export interface TurnRow {
  readonly workerId: string
  readonly turn: number
  readonly owner: string
  readonly prompt: string
  readonly runId: string | null
  readonly state: WorkerState
  readonly startedAt: number | null
  readonly endedAt: number | null
  readonly inputTokens: number
  readonly outputTokens: number
  readonly costUsd: number | null
  /** ms; of all its starts. */
  readonly ranFor: number
}

export interface WorkerFilter {
  readonly owner?: string
  readonly namespace?: string
  readonly states?: readonly WorkerState[]
  readonly claimed?: boolean
  readonly raceId?: string
  readonly idPrefix?: string
  /** Those that come after this one in the order of the list. */
  readonly after?: { readonly createdAt: number; readonly id: string }
  readonly limit: number
}

export interface Spent {
  readonly usd: number
  readonly tokens: number
  /** ms */
  readonly ranFor: number
}

export interface Workers {
  insert(row: WorkerRow): Promise<void>
  get(id: string): Promise<WorkerRow | undefined>
  /** Newest first. */
  list(filter: WorkerFilter): Promise<WorkerRow[]>
  /** Every queued, running or limited one, and those that are cancelled and not yet ended. */
  open(): Promise<WorkerRow[]>
  /** Of a crew: what is active or unclaimed, in the order in which they ended, the active ones last. */
  unclaimed(owner: string, namespace: string): Promise<WorkerRow[]>
  update(id: string, change: Partial<Omit<WorkerRow, 'id'>>): Promise<void>
  /** With its approvals, and with what its turns were asked; what they took counts on. */
  delete(id: string): Promise<void>
  /** Whether any worker's variables refer to these secrets. */
  usesSecrets(secretsId: string): Promise<boolean>
  /** Forgets the turns of deleted workers that ended before `at`. */
  pruneTurns(at: number): Promise<void>
  /** Ended and claimed ones that ended before `at`: ids, oldest first. */
  old(at: number, limit: number): Promise<string[]>
  insertTurn(row: TurnRow): Promise<void>
  updateTurn(workerId: string, turn: number, change: Partial<Omit<TurnRow, 'workerId' | 'turn'>>): Promise<void>
  /** Oldest first. */
  turns(workerId: string): Promise<TurnRow[]>
  /** Of an owner's turns that began at `since` or later. */
  spent(owner: string, since: number): Promise<Spent>
}

export interface RaceRow {
  readonly id: string
  readonly owner: string
  readonly namespace: string
  readonly state: RaceState
  readonly reason: string
  readonly prompt: string
  readonly judge: Judge
  /** What is remembered of each attempt: its worker, its judge's worker, its verdict and score. */
  readonly attempts: Json
  readonly winner: string | null
  readonly trusted: boolean
  readonly data: JsonObject
  readonly createdAt: number
  readonly endedAt: number | null
}

export interface Races {
  insert(row: RaceRow): Promise<void>
  get(id: string): Promise<RaceRow | undefined>
  /** Newest first. */
  list(filter: {
    readonly owner?: string
    readonly namespace?: string
    readonly states?: readonly RaceState[]
    readonly idPrefix?: string
    readonly after?: { readonly createdAt: number; readonly id: string }
    readonly limit: number
  }): Promise<RaceRow[]>
  /** Those that run or are judged. */
  open(): Promise<RaceRow[]>
  update(id: string, change: Partial<Omit<RaceRow, 'id'>>): Promise<void>
}

export interface WorkersTables {
  readonly workers: Workers
  readonly races: Races
}
