// Written by scripts/generate-routes.mjs from the operations table; do not edit.
export interface Route {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  /** `:name` stands for the field of the input with that name. */
  readonly path: string
  readonly reply: 'value' | 'stream'
}

export const routes: Readonly<Record<string, Route>> = {
  'agents.create': { method: 'POST', path: '/api/v1/agents', reply: 'value' },
  'agents.apply': { method: 'POST', path: '/api/v1/agents/apply', reply: 'value' },
  'agents.list': { method: 'GET', path: '/api/v1/agents', reply: 'value' },
  'agents.get': { method: 'GET', path: '/api/v1/agents/:agent', reply: 'value' },
  'agents.update': { method: 'PATCH', path: '/api/v1/agents/:agent', reply: 'value' },
  'agents.start': { method: 'POST', path: '/api/v1/agents/:agent/start', reply: 'value' },
  'agents.stop': { method: 'POST', path: '/api/v1/agents/:agent/stop', reply: 'value' },
  'agents.restart': { method: 'POST', path: '/api/v1/agents/:agent/restart', reply: 'value' },
  'agents.delete': { method: 'DELETE', path: '/api/v1/agents/:agent', reply: 'value' },
  'agents.logs': { method: 'GET', path: '/api/v1/agents/:agent/logs', reply: 'stream' },
  'logs.stream': { method: 'GET', path: '/api/v1/logs', reply: 'stream' },
  'agents.clear_logs': { method: 'POST', path: '/api/v1/agents/:agent/logs/clear', reply: 'value' },
  'agents.signal': { method: 'POST', path: '/api/v1/agents/:agent/signal', reply: 'value' },
  'agents.stop_all': { method: 'POST', path: '/api/v1/agents/stop', reply: 'value' },
  'agents.timeline': { method: 'GET', path: '/api/v1/agents/:agent/timeline', reply: 'value' },
  'system.backup': { method: 'POST', path: '/api/v1/backup', reply: 'value' },
  'messages.send': { method: 'POST', path: '/api/v1/agents/:agent/messages', reply: 'value' },
  'messages.send_many': { method: 'POST', path: '/api/v1/agents/:agent/messages/batch', reply: 'value' },
  'messages.list': { method: 'GET', path: '/api/v1/agents/:agent/messages', reply: 'value' },
  'messages.get': { method: 'GET', path: '/api/v1/messages/:id', reply: 'value' },
  'events.list': { method: 'GET', path: '/api/v1/events/history', reply: 'value' },
  'events.stream': { method: 'GET', path: '/api/v1/events', reply: 'stream' },
  'approvals.list': { method: 'GET', path: '/api/v1/approvals', reply: 'value' },
  'approvals.get': { method: 'GET', path: '/api/v1/approvals/:id', reply: 'value' },
  'approvals.approve': { method: 'POST', path: '/api/v1/approvals/:id/approve', reply: 'value' },
  'approvals.reject': { method: 'POST', path: '/api/v1/approvals/:id/reject', reply: 'value' },
  'tokens.create': { method: 'POST', path: '/api/v1/tokens', reply: 'value' },
  'tokens.list': { method: 'GET', path: '/api/v1/tokens', reply: 'value' },
  'tokens.revoke': { method: 'DELETE', path: '/api/v1/tokens/:token', reply: 'value' },
  'bus.publish': { method: 'POST', path: '/api/v1/bus/publish', reply: 'value' },
  'bus.tail': { method: 'GET', path: '/api/v1/bus/tail', reply: 'stream' },
  'bus.topics': { method: 'GET', path: '/api/v1/bus/topics', reply: 'value' },
  'bus.status': { method: 'GET', path: '/api/v1/bus/status', reply: 'value' },
  'bus.dead.list': { method: 'GET', path: '/api/v1/bus/dead', reply: 'value' },
  'bus.dead.show': { method: 'GET', path: '/api/v1/bus/dead/:id', reply: 'value' },
  'bus.dead.requeue': { method: 'POST', path: '/api/v1/bus/dead/:id/requeue', reply: 'value' },
  'bus.dead.drop': { method: 'DELETE', path: '/api/v1/bus/dead/:id', reply: 'value' },
  'system.status': { method: 'GET', path: '/api/v1/status', reply: 'value' },
}
