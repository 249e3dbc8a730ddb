import { randomUUID } from 'node:crypto'
import type { AgentRow, ApprovalRow, CommandRow, LifeRow, NewEvent, NewMessage, RunRow, TokenRow } from '../../src/ports/store.ts'
import type { RaceRow, TurnRow, WorkerRow } from '../../src/ports/worker-store.ts'

/** Rows as the core would write them, with whatever a test cares about put over them. */
export function agentRow(over: Partial<AgentRow> = {}): AgentRow {
  const id = over.id ?? randomUUID()
  return {
    id,
    owner: 'ann',
    name: `agent-${id.slice(0, 8)}`,
    kind: 'command',
    runtime: 'process',
    node: 'local',
    epoch: 0,
    revision: 1,
    definition: { command: ['sleep', '1000'], env: {} },
    policy: { restart: 'on-failure', startsecs: 1, startretries: 3, stop_signal: 'TERM', stop_grace: 10 },
    limits: {},
    file: null,
    deleting: false,
    createdAt: 1_000,
    updatedAt: 1_000,
    ...over,
  }
}

export function lifeRow(agentId: string, over: Partial<LifeRow> = {}): LifeRow {
  return {
    agentId,
    desired: 'stopped',
    start: 0,
    state: 'STOPPED',
    reason: 'never started',
    since: 1_000,
    runId: null,
    restarts: 0,
    deaths: 0,
    earlyDeaths: 0,
    retryAt: null,
    exitCode: null,
    exitSignal: null,
    ...over,
  }
}

export function runRow(agentId: string, over: Partial<RunRow> = {}): RunRow {
  return {
    id: randomUUID(),
    agentId,
    node: 'local',
    epoch: 0,
    start: 1,
    revision: 1,
    handle: { runtime: 'process', version: 1, state: { dir: 'runs/1' } },
    pid: null,
    startedAt: 2_000,
    endedAt: null,
    exitCode: null,
    exitSignal: null,
    exitReason: null,
    ...over,
  }
}

export function eventRow(over: Partial<NewEvent> = {}): NewEvent {
  return { at: 3_000, type: 'agent.created', agentId: null, agent: null, owner: 'ann', actor: 'ann', data: {}, ...over }
}

export function messageRow(agentId: string, over: Partial<NewMessage> = {}): NewMessage {
  return {
    id: randomUUID(),
    agentId,
    conversation: 'main',
    direction: 'in',
    type: 'user',
    content: 'hello',
    metadata: {},
    sender: 'ann',
    replyTo: null,
    final: false,
    state: 'queued',
    tries: 0,
    reason: null,
    at: 4_000,
    ...over,
  }
}

export function approvalRow(agentId: string | null, over: Partial<ApprovalRow> = {}): ApprovalRow {
  return {
    id: randomUUID(),
    agentId,
    workerId: null,
    messageId: null,
    subagent: 'finder',
    server: 'fetch',
    tool: 'fetch',
    arguments: { url: 'http://localhost/' },
    state: 'pending',
    default: 'reject',
    requestedAt: 5_000,
    expiresAt: 125_000,
    answeredAt: null,
    answeredBy: null,
    via: null,
    ...over,
  }
}

export function tokenRow(over: Partial<TokenRow> = {}): TokenRow {
  const id = over.id ?? randomUUID()
  return { id, hash: `hash of ${id}`, user: 'ann', role: 'user', createdAt: 1_000, lastUsedAt: null, revokedAt: null, ...over }
}

export function commandRow(over: Partial<CommandRow> = {}): CommandRow {
  return { caller: 'ann', key: randomUUID(), operation: 'agents.create', inputHash: 'x', answer: { ok: true }, at: 6_000, ...over }
}

export function workerRow(over: Partial<WorkerRow> = {}): WorkerRow {
  return {
    id: randomUUID(),
    owner: 'ann',
    namespace: 'default',
    label: null,
    secretsId: null,
    agent: 'claude',
    spec: { env: {}, args: [], worktree: false, permissions: 'cli', permission_timeout: 120, stream: true, wait_limits: true },
    budget: {},
    timeout: 300_000,
    priority: 0,
    state: 'queued',
    reason: 'waits for its turn',
    wanted: 'run',
    claimed: false,
    turn: 1,
    prompt: 'do it',
    cwd: null,
    branch: null,
    sessionId: null,
    begun: false,
    trusted: false,
    runId: null,
    handle: null,
    pid: null,
    lines: 0,
    attempts: 0,
    retryAt: null,
    exitCode: null,
    result: null,
    failureKind: null,
    failure: null,
    errorHint: null,
    outputFile: null,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: null,
    ranFor: 0,
    raceId: null,
    createdAt: 1_000,
    queuedAt: 1_000,
    startedAt: null,
    endedAt: null,
    ...over,
  }
}

export function turnRow(workerId: string, over: Partial<TurnRow> = {}): TurnRow {
  return {
    workerId,
    turn: 1,
    owner: 'ann',
    prompt: 'do it',
    runId: null,
    state: 'queued',
    startedAt: null,
    endedAt: null,
    inputTokens: 0,
    outputTokens: 0,
    costUsd: null,
    ranFor: 0,
    ...over,
  }
}

export function raceRow(over: Partial<RaceRow> = {}): RaceRow {
  return {
    id: randomUUID(),
    owner: 'ann',
    namespace: 'default',
    state: 'running',
    reason: 'its attempts run',
    prompt: 'do it',
    judge: { by: 'first' },
    attempts: [],
    winner: null,
    trusted: false,
    data: {},
    createdAt: 1_000,
    endedAt: null,
    ...over,
  }
}
