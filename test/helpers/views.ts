import type { AgentDetail, AgentView } from '../../src/contract/agents.ts'
import type { ApprovalView } from '../../src/contract/approvals.ts'
import type { EventView } from '../../src/contract/events.ts'
import type { MessageView } from '../../src/contract/messages.ts'
import type { SystemStatus } from '../../src/contract/system.ts'

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
    workers: { active: 0, by_state: {} },
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
