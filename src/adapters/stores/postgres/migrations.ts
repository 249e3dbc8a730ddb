/** One step of the schema; its version is its place in the list, from 1. Never edited once released: add another. */
export interface Migration {
  readonly name: string
  readonly sql: string
}

// Texts sort by their bytes, as everywhere in Regent, whatever the database's own order is.
const text = 'text collate "C"'

const first = `
create table agents (
  id ${text} primary key, owner ${text} not null, name ${text} not null, kind ${text} not null, runtime ${text} not null,
  node ${text} not null, epoch bigint not null, revision bigint not null,
  definition text not null, policy text not null, limits text not null, file text, deleting bigint not null,
  created_at bigint not null, updated_at bigint not null
);
create unique index agents_by_name on agents (owner, name);

create table lives (
  agent_id ${text} primary key references agents (id) on delete cascade,
  desired ${text} not null, start bigint not null, state ${text} not null, reason text not null, since bigint not null, run_id ${text},
  restarts bigint not null, deaths bigint not null, early_deaths bigint not null, retry_at bigint,
  exit_code bigint, exit_signal text
) with (fillfactor = 70);

create table runs (
  id ${text} primary key, agent_id ${text} not null references agents (id) on delete cascade,
  node ${text} not null, epoch bigint not null, start bigint not null, revision bigint not null, handle text not null, pid bigint,
  started_at bigint not null, ended_at bigint, exit_code bigint, exit_signal text, exit_reason text
);
create index runs_by_agent on runs (agent_id, started_at, id);
create index runs_open on runs (started_at, id) where ended_at is null;

create table events (
  number bigint primary key, at bigint not null, type ${text} not null,
  agent_id ${text}, agent ${text}, owner ${text}, actor text not null, data text not null
);
create index events_by_agent on events (agent_id, number);
create index events_by_owner on events (owner, number);

create table messages (
  number bigint primary key, id ${text} not null unique,
  agent_id ${text} not null references agents (id) on delete cascade,
  conversation ${text} not null, direction ${text} not null, type ${text} not null, content text not null, metadata text not null,
  sender text not null, reply_to ${text}, final bigint not null, state ${text}, tries bigint not null, reason text, at bigint not null
);
create index messages_by_agent on messages (agent_id, number);
create index messages_by_conversation on messages (agent_id, conversation, number);
create index messages_waiting on messages (agent_id, number) where direction = 'in' and state in ('queued', 'delivered');
create index messages_dead on messages (agent_id, number) where state = 'dead';
create index messages_final on messages (reply_to, number) where final = 1;

create table approvals (
  id ${text} primary key, agent_id ${text} not null references agents (id) on delete cascade,
  message_id ${text}, subagent text not null, server text not null, tool text not null, arguments text not null, state ${text} not null,
  "default" text not null, requested_at bigint not null, expires_at bigint not null, answered_at bigint, answered_by text, via text
);
create index approvals_by_agent on approvals (agent_id, requested_at, id);
create index approvals_by_time on approvals (requested_at, id);
create index approvals_by_state on approvals (state, requested_at, id);

create table tokens (
  id ${text} primary key, hash ${text} not null unique, "user" ${text} not null, role ${text} not null,
  created_at bigint not null, last_used_at bigint, revoked_at bigint
);

create table commands (
  caller ${text} not null, key ${text} not null, operation text not null, input_hash text not null, answer text not null, at bigint not null,
  primary key (caller, key)
);
create index commands_by_time on commands (at);

create table cursors (name ${text} primary key, value bigint not null) with (fillfactor = 50);

create table usages (
  agent_id ${text} primary key references agents (id) on delete cascade,
  model_calls bigint not null, input_tokens bigint not null, output_tokens bigint not null, cost_usd double precision
) with (fillfactor = 70);

-- The last number that was given in each table.
create table counters (name ${text} primary key, value bigint not null) with (fillfactor = 10);
insert into counters (name, value) values ('events', 0), ('messages', 0);

-- What each node's Regent committed last: so it finds out whether a commit whose answer was lost has happened.
create table writers (node ${text} primary key, last text not null) with (fillfactor = 10);
`

export const migrations: readonly Migration[] = [{ name: 'the first schema', sql: first }]
