import type { AgentDetail, AgentView } from '../../src/contract/agents.ts'
import type { ApprovalView } from '../../src/contract/approvals.ts'
import type { EventView } from '../../src/contract/events.ts'
import type { MessageView } from '../../src/contract/messages.ts'
import type { SystemStatus } from '../../src/contract/system.ts'
import type { OutputItem, RaceView, WorkerView } from '../../src/contract/workers.ts'

/** Whole views with what a test leaves out filled in. */
export function agentView(given: Partial<AgentView> = {}): AgentView {
  return {
    id: '3f2c1a9e-0000-4000-8000-000000000001',
    owner: 'alice',
    name: 'news',
    kind: 'command',
    runtime: 'process',
    desired: 'running',
    state: 'RUNNING',
    reason: 'alive for startsecs',
    since: 1_700_000_000_000,
    activity: null,
    health: null,
    ready: null,
    resources: null,
    pid: 4242,
    run_id: 'a1b2c3d4-0000-4000-8000-000000000001',
    restarts: 0,
    uptime_ms: 3_723_000,
    exit_code: null,
    exit_signal: null,
    file: null,
    revision: 1,
    running_revision: 1,
    queued: 0,
    usage: { model_calls: 0, input_tokens: 0, output_tokens: 0, cost_usd: 0 },
    conditions: [],
    created_at: 1_700_000_000_000,
    updated_at: 1_700_000_000_000,
    ...given,
  }
}

export function agentDetail(given: Partial<AgentDetail> = {}): AgentDetail {
  return {
    ...agentView(),
    definition: { command: ['sleep', '60'], cwd: '/tmp', env: {} },
    policy: { restart: 'on-failure', startsecs: 1, startretries: 3, stop_signal: 'TERM', stop_grace: 10 },
    limits: {},
    file: null,
    program: 'alice_news_agent',
    schedules: [],
    notes: [],
    ...given,
  }
}

export function messageView(given: Partial<MessageView> = {}): MessageView {
  return {
    id: '9d3c1a9e-0000-4000-8000-000000000001',
    number: 1,
    agent: 'alice/news',
    agent_id: '3f2c1a9e-0000-4000-8000-000000000001',
    conversation: 'main',
    direction: 'in',
    type: 'user',
    content: 'hello',
    metadata: {},
    sender: 'alice',
    reply_to: null,
    final: false,
    state: 'delivered',
    tries: 1,
    reason: null,
    at: 1_700_000_000_000,
    ...given,
  }
}

export function approvalView(given: Partial<ApprovalView> = {}): ApprovalView {
  return {
    id: '7e3c1a9e-0000-4000-8000-000000000001',
    agent: 'alice/news',
    agent_id: '3f2c1a9e-0000-4000-8000-000000000001',
    worker_id: null,
    subagent: 'finder',
    message_id: null,
    server: 'fetch',
    tool: 'fetch',
    arguments: { url: 'https://example.org' },
    state: 'pending',
    default: 'reject',
    requested_at: Date.now(),
    expires_at: Date.now() + 120_000,
    answered_at: null,
    answered_by: null,
    via: null,
    ...given,
  }
}

export function eventView(given: Partial<EventView> = {}): EventView {
  return {
    number: 7,
    at: 1_700_000_000_000,
    type: 'run.running',
    agent_id: '3f2c1a9e-0000-4000-8000-000000000001',
    agent: 'alice/news',
    owner: 'alice',
    actor: 'regent',
    data: {},
    ...given,
  }
}

export function systemStatus(given: Partial<SystemStatus> = {}): SystemStatus {
  return {
    version: '0.1.0',
    node: 'v24.21.0',
    home: '/home/alice/.local/share/regent',
    project: '/home/alice/project',
    pid: 4000,
    started_at: 1_700_000_000_000,
    uptime_ms: 60_000,
    auth: 'auto',
    store: 'sqlite',
    bus: 'memory',
    runtime: 'process',
    stop_level: 'C',
    agents: { total: 1, by_state: { RUNNING: 1 } },
    workers: { open: 0, by_state: {} },
    messages_waiting: 0,
    approvals_pending: 0,
    newest_event: 7,
    process: { memory_bytes: 67_108_864, open_files: 30, event_loop_lag_ms: null },
    checks: [{ name: 'store', ok: true, message: 'SQLite', required: true }],
    conditions: [],
    ready: true,
    ...given,
  }
}

export function workerView(given: Partial<WorkerView> = {}): WorkerView {
  return {
    id: '3f2c1a9e-0000-4000-8000-000000000001',
    owner: 'alice',
    namespace: 'default',
    label: null,
    agent: 'claude',
    state: 'running',
    reason: 'has a process',
    claimed: false,
    prompt: 'What is the answer?',
    turn: 1,
    priority: 0,
    cwd: '/home/alice/project',
    branch: null,
    model: null,
    session_id: null,
    pid: 4242,
    run_id: 'a1b2c3d4-0000-4000-8000-000000000001',
    timeout: 300,
    exit_code: null,
    result: null,
    failure: null,
    failure_kind: null,
    error_hint: null,
    output_file: null,
    usage: { input_tokens: 0, output_tokens: 0, cost_usd: null, run_seconds: 0 },
    budget: {},
    race: null,
    pending_permissions: 0,
    created_at: 1_700_000_000_000,
    queued_at: 1_700_000_000_000,
    started_at: null,
    ended_at: null,
    retry_at: null,
    ...given,
  }
}

export function completedWorker(given: Partial<WorkerView> = {}): WorkerView {
  return workerView({
    state: 'completed',
    reason: 'has answered',
    pid: null,
    exit_code: 0,
    result: '42',
    session_id: 'session-1',
    usage: { input_tokens: 1200, output_tokens: 34, cost_usd: 0.03, run_seconds: 12 },
    started_at: 1_700_000_000_000,
    ended_at: 1_700_000_012_000,
    ...given,
  })
}

export function outputItem(given: Partial<OutputItem> = {}): OutputItem {
  return { kind: 'text', turn: 1, at: 1_700_000_000_000, text: 'hello', data: {}, ...given }
}

export function raceView(given: Partial<RaceView> = {}): RaceView {
  return {
    id: '5ace1a9e-0000-4000-8000-000000000001',
    owner: 'alice',
    namespace: 'default',
    state: 'running',
    reason: 'attempts are being made',
    prompt: 'What is the answer?',
    judge: { by: 'first' },
    winner: null,
    attempts: [{ worker: workerView(), verdict: 'waiting', score: null, judged_by: null }],
    usage: { input_tokens: 0, output_tokens: 0, cost_usd: null, run_seconds: 0 },
    created_at: 1_700_000_000_000,
    ended_at: null,
    ...given,
  }
}
