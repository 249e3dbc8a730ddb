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

const workers = `
create table workers (
  id ${text} primary key, owner ${text} not null, namespace ${text} not null, label text, agent ${text} not null,
  spec text not null, secrets_id ${text}, budget text not null, timeout bigint not null, priority bigint not null,
  state ${text} not null, reason text not null, wanted ${text} not null, claimed bigint not null, turn bigint not null, prompt text not null,
  cwd text, branch text, session_id text, begun bigint not null, trusted bigint not null, run_id ${text}, handle text not null, pid bigint, lines bigint not null,
  attempts bigint not null, retry_at bigint, exit_code bigint, result text, failure_kind text, failure text, error_hint text, output_file text,
  input_tokens bigint not null, output_tokens bigint not null, cost_usd double precision, ran_for bigint not null, race_id ${text},
  created_at bigint not null, queued_at bigint not null, started_at bigint, ended_at bigint
);
create index workers_by_time on workers (created_at, id);
create index workers_by_owner on workers (owner, created_at, id);
create index workers_by_secrets on workers (secrets_id) where secrets_id is not null;
create index workers_by_race on workers (race_id) where race_id is not null;
create index workers_open on workers (queued_at, id) where state in ('queued', 'running', 'limited');
create index workers_unclaimed on workers (owner, namespace) where claimed = 0;
create index workers_by_end on workers (ended_at, id) where claimed = 1;

create table turns (
  worker_id ${text} not null, turn bigint not null, owner ${text} not null, prompt text not null,
  run_id ${text}, state ${text} not null, started_at bigint, ended_at bigint,
  input_tokens bigint not null, output_tokens bigint not null, cost_usd double precision, ran_for bigint not null,
  primary key (worker_id, turn)
);
create index turns_by_owner on turns (owner, started_at);

create table races (
  id ${text} primary key, owner ${text} not null, namespace ${text} not null, state ${text} not null, reason text not null, prompt text not null,
  judge text not null, attempts text not null, winner ${text}, trusted bigint not null, data text not null, created_at bigint not null, ended_at bigint
);
create index races_by_time on races (created_at, id);
create index races_by_owner on races (owner, created_at, id);
create index races_open on races (created_at, id) where state in ('running', 'judging');

alter table approvals alter column agent_id drop not null;
alter table approvals add column worker_id ${text} references workers (id) on delete cascade;
create index approvals_by_worker on approvals (worker_id, requested_at, id) where worker_id is not null;
`

export const migrations: readonly Migration[] = [
  { name: 'the first schema', sql: first },
  { name: 'workers and races', sql: workers },
]
