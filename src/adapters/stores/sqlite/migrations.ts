/** One step of the schema; its version is its place in the list, from 1. Never edited once released: add another. */
export interface Migration {
  readonly name: string
  readonly sql: string
}

const first = `
create table agents (
  id text primary key, owner text not null, name text not null, kind text not null, runtime text not null,
  node text not null, epoch integer not null, revision integer not null,
  definition text not null, policy text not null, limits text not null, file text, deleting integer not null,
  created_at integer not null, updated_at integer not null
) strict;
create unique index agents_by_name on agents (owner, name);

create table lives (
  agent_id text primary key references agents (id) on delete cascade,
  desired text not null, start integer not null, state text not null, reason text not null, since integer not null, run_id text,
  restarts integer not null, deaths integer not null, early_deaths integer not null, retry_at integer,
  exit_code integer, exit_signal text
) strict;

create table runs (
  id text primary key, agent_id text not null references agents (id) on delete cascade,
  node text not null, epoch integer not null, start integer not null, revision integer not null, handle text not null, pid integer,
  started_at integer not null, ended_at integer, exit_code integer, exit_signal text, exit_reason text
) strict;
create index runs_by_agent on runs (agent_id, started_at, id);
create index runs_open on runs (started_at, id) where ended_at is null;

create table events (
  number integer primary key autoincrement, at integer not null, type text not null,
  agent_id text, agent text, owner text, actor text not null, data text not null
) strict;
create index events_by_agent on events (agent_id, number);
create index events_by_owner on events (owner, number);

create table messages (
  number integer primary key autoincrement, id text not null unique,
  agent_id text not null references agents (id) on delete cascade,
  conversation text not null, direction text not null, type text not null, content text not null, metadata text not null,
  sender text not null, reply_to text, final integer not null, state text, tries integer not null, reason text, at integer not null
) strict;
create index messages_by_agent on messages (agent_id, number);
create index messages_by_conversation on messages (agent_id, conversation, number);
create index messages_waiting on messages (agent_id, number) where direction = 'in' and state in ('queued', 'delivered');
create index messages_dead on messages (agent_id, number) where state = 'dead';
create index messages_final on messages (reply_to, number) where final = 1;

create table approvals (
  id text primary key, agent_id text not null references agents (id) on delete cascade,
  message_id text, subagent text not null, server text not null, tool text not null, arguments text not null, state text not null,
  "default" text not null, requested_at integer not null, expires_at integer not null, answered_at integer, answered_by text, via text
) strict;
create index approvals_by_agent on approvals (agent_id, requested_at, id);
create index approvals_by_time on approvals (requested_at, id);
create index approvals_by_state on approvals (state, requested_at, id);

create table tokens (
  id text primary key, hash text not null unique, "user" text not null, role text not null,
  created_at integer not null, last_used_at integer, revoked_at integer
) strict;

create table commands (
  caller text not null, key text not null, operation text not null, input_hash text not null, answer text not null, at integer not null,
  primary key (caller, key)
) strict, without rowid;
create index commands_by_time on commands (at);

create table cursors (name text primary key, value integer not null) strict, without rowid;

create table usages (
  agent_id text primary key references agents (id) on delete cascade,
  model_calls integer not null, input_tokens integer not null, output_tokens integer not null, cost_usd real
) strict;
`

const workers = `
create table workers (
  id text primary key, owner text not null, namespace text not null, label text, agent text not null,
  spec text not null, secrets_id text, budget text not null, timeout integer not null, priority integer not null,
  state text not null, reason text not null, wanted text not null, claimed integer not null, turn integer not null, prompt text not null,
  cwd text, branch text, session_id text, begun integer not null, trusted integer not null, run_id text, handle text not null, pid integer, lines integer not null,
  attempts integer not null, retry_at integer, exit_code integer, result text, failure_kind text, failure text, error_hint text, output_file text,
  input_tokens integer not null, output_tokens integer not null, cost_usd real, ran_for integer not null, race_id text,
  created_at integer not null, queued_at integer not null, started_at integer, ended_at integer
) strict;
create index workers_by_time on workers (created_at, id);
create index workers_by_owner on workers (owner, created_at, id);
create index workers_by_secrets on workers (secrets_id) where secrets_id is not null;
create index workers_by_race on workers (race_id) where race_id is not null;
create index workers_open on workers (queued_at, id) where state in ('queued', 'running', 'limited');
create index workers_unclaimed on workers (owner, namespace) where claimed = 0;
create index workers_by_end on workers (ended_at, id) where claimed = 1;

create table turns (
  worker_id text not null, turn integer not null, owner text not null, prompt text not null,
  run_id text, state text not null, started_at integer, ended_at integer,
  input_tokens integer not null, output_tokens integer not null, cost_usd real, ran_for integer not null,
  primary key (worker_id, turn)
) strict;
create index turns_by_owner on turns (owner, started_at);

create table races (
  id text primary key, owner text not null, namespace text not null, state text not null, reason text not null, prompt text not null,
  judge text not null, attempts text not null, winner text, trusted integer not null, data text not null, created_at integer not null, ended_at integer
) strict;
create index races_by_time on races (created_at, id);
create index races_by_owner on races (owner, created_at, id);
create index races_open on races (created_at, id) where state in ('running', 'judging');

create table approvals_of_all (
  id text primary key, agent_id text references agents (id) on delete cascade, worker_id text references workers (id) on delete cascade,
  message_id text, subagent text not null, server text not null, tool text not null, arguments text not null, state text not null,
  "default" text not null, requested_at integer not null, expires_at integer not null, answered_at integer, answered_by text, via text
) strict;
insert into approvals_of_all select id, agent_id, null, message_id, subagent, server, tool, arguments, state, "default", requested_at, expires_at,
  answered_at, answered_by, via from approvals;
drop table approvals;
alter table approvals_of_all rename to approvals;
create index approvals_by_agent on approvals (agent_id, requested_at, id);
create index approvals_by_worker on approvals (worker_id, requested_at, id) where worker_id is not null;
create index approvals_by_time on approvals (requested_at, id);
create index approvals_by_state on approvals (state, requested_at, id);
`

export const migrations: readonly Migration[] = [
  { name: 'the first schema', sql: first },
  { name: 'workers and races', sql: workers },
]
