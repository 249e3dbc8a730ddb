// What the foundation itself promises beyond the rows of the contract: the project, its layers, the team, the command line, the figures.
import { proved, type Requirement } from './row.ts'

// biome-ignore format: one promise a line
const project: readonly Requirement[] = [
  proved(2, 'I2-PRJ-01', 'I', 'An empty machine with Node 20 and npm: clone, `npm start`, the README lines pasted; no other step'),
  proved(2, 'I2-PRJ-02', 'I', '`npm test` runs format, lint, types, dependency rules, size caps, dead code and every test; it counts at the end'),
  proved(2, 'I2-PRJ-03', 'I', '`npm run services` starts every server the tests need on loopback, repeatably, and `-- stop` leaves nothing'),
  proved(2, 'I2-PRJ-04', 'I', '`.ci/run` tests a bare machine, ends every process it started, and prints the counts last'),
  proved(2, 'I2-PRJ-05', 'I', 'The promises manifest holds every row; what is not proved is counted and printed, never silently missing'),
  proved(2, 'I2-PRJ-06', 'I', 'Each dependency rule of the house and each size cap fails on a planted breach'),
  proved(2, 'I2-PRJ-07', 'I', 'The MIT licence is in the package; README shows the two commands and the example; docs/ is begun'),
  proved(2, 'I2-PRJ-08', 'I', '`npm run bench` measures the figures of docs/performance.md'),
]

// biome-ignore format: one promise a line
const layers: readonly Requirement[] = [
  proved(2, 'I2-CFG-01', 'I', 'Configuration is layered: defaults < regent.toml < REGENT_* < flags, compiled once and frozen'),
  proved(2, 'I2-CFG-02', 'I', 'regent.toml has a published JSON Schema, equal to the one that is enforced'),
  proved(2, 'I2-CFG-03', 'I', '`regent config check` names each wrong key with its place'),
  proved(2, 'I2-CFG-04', 'I', '`regent config show --origin` tells where each value came from, secrets masked'),
  proved(2, 'I2-OPS-01', 'I', 'HTTP routes, the client and CLI verbs come from one operations table'),
  proved(2, 'I2-PORT-01', 'I', 'Every adapter passes the whole conformance suite of its port (runtime, bus, store, tool server, model)'),
  proved(2, 'I2-STO-01', 'I', 'SQLite store: migrations each with a backup before; a newer schema is refused'),
  proved(2, 'I2-STO-02', 'I', 'One process per home: a second one refuses and names the first'),
  proved(2, 'I2-JRN-01', 'I', 'An event is written in the transaction of the change it tells of, numbered in visible order'),
  proved(2, 'I2-JRN-02', 'I', 'The outbox relays events at least once, in order'),
  proved(2, 'I2-BUS-01', 'I', 'Memory bus with durable inboxes: queued, delivered, acknowledged or dead, across a restart of Regent'),
  proved(2, 'I2-RUN-01', 'I', 'Process runtime: wrapper and log pump outlive Regent; the next Regent adopts the runs by their directories'),
  proved(2, 'I2-RUN-02', 'I', 'A command agent goes through every layer and back after kill -9 of Regent: same pid, exit code recorded'),
  proved(2, 'I2-SUP-01', 'I', 'One state table moves runs; an illegal move is refused; starting the running and stopping the stopped succeed'),
  proved(2, 'I2-SUP-02', 'I', 'Restart policy always, on-failure, never; growing delays; FATAL after startretries, at once on 126 and 127'),
  proved(2, 'I2-GATE-01', 'I', 'The gate refuses a foreign Host, Origin or Fetch metadata before anything else'),
  proved(2, 'I2-GATE-02', 'I', 'A tokenless call is accepted only from the same local user over loopback; others get 401'),
  proved(2, 'I2-GATE-03', 'I', 'Limits on rate, body, header, depth and time answer with 4xx and Retry-After where it applies'),
  proved(2, 'I2-LINK-01', 'I', 'Runners hold a WebSocket link that they find again by link.json after each restart of Regent'),
  proved(2, 'I2-SSE-01', 'I', 'SSE replays from Last-Event-ID, and sends resync when it fell out of the kept window'),
  proved(2, 'I2-TOK-01', 'I', '`regent token create|list|revoke`: hashed tokens, shown once, revoked at once'),
  proved(2, 'I2-TOK-02', 'I', 'Roles admin, user, read-only; the owner comes from the token; another owner is 404'),
]

// biome-ignore format: one promise a line
const managerApi: readonly Requirement[] = [
  proved(2, 'I2-API-01', 'I', 'Every curl line of the README gives the status codes and bodies of the contract, on port 8080'),
  proved(2, 'I2-API-02', 'I', 'Every failure of the manager API has the contract’s status code and body'),
  proved(2, 'I2-API-03', 'I', 'The ten defects of the original manager are absent'),
  proved(2, 'I2-API-04', 'I', '/docs and /openapi.json (3.1) describe what is served'),
  proved(2, 'I2-TPL-01', 'I', 'Creating writes an agent file that a person can read and run by itself'),
  proved(2, 'I2-TPL-02', 'I', 'Template values go in as JSON literals, never as text: quotes, newlines and code in them stay data'),
  proved(2, 'I2-TPL-03', 'I', 'A user’s own template with the five placeholders is used'),
  proved(2, 'I2-SEC-01', 'I', 'Secrets in the posted JSON go to a 0600 store and come back as ***; none is in argv, logs or answers'),
]

// biome-ignore format: one promise a line
const team: readonly Requirement[] = [
  proved(2, 'I2-TEAM-01', 'I', 'The orchestrator plans in full (at most 5 rounds), runs the tasks of a step in parallel, synthesises'),
  proved(2, 'I2-TEAM-02', 'I', 'The planner’s prompt shows the JSON shape of a plan, and the progress in its last message'),
  proved(2, 'I2-TEAM-03', 'I', '`initial_task` runs at start, once'),
  proved(2, 'I2-TEAM-04', 'I', 'One message at a time: what arrives while the agent works waits'),
  proved(2, 'I2-TEAM-05', 'I', 'The conversation survives a restart of the agent and of Regent, and is condensed before it overflows'),
  proved(2, 'I2-TEAM-06', 'I', 'Inbound and outbound messages have the contract’s envelopes over the memory bus'),
  proved(2, 'I2-TEAM-07', 'I', 'A changed definition (PATCH, `regent apply -f`) takes effect at the next start, and says so'),
  proved(2, 'I2-TEAM-08', 'I', 'The README’s JSON with an unreachable broker: RUNNING, and show names the broker as a condition'),
  proved(2, 'I2-MOD-01', 'I', 'Anthropic and OpenAI wire formats: streaming, tool use, by alias and provider.model'),
  proved(2, 'I2-MOD-02', 'I', 'Model errors 401, 429, 500, overloaded and cut connections: retried where it helps, else told plainly'),
  proved(2, 'I2-MOD-03', 'I', 'Any OpenAI-compatible address works, from configuration or from the JSON'),
  proved(2, 'I2-MOD-04', 'I', 'Tokens and cost are counted per agent'),
  proved(2, 'I2-MOD-05', 'I', 'Without a key the offline model answers, and every answer and the status say so'),
  proved(2, 'I2-MCP-01', 'I', 'MCP servers by stdio, SSE and Streamable HTTP with every field of the contract, against real servers from npm'),
  proved(2, 'I2-MCP-02', 'I', 'MCP children die with the agent, always'),
  proved(2, 'I2-MCP-03', 'I', '`fetch` works without `uvx`, and the status says which one it is'),
  proved(2, 'I2-APR-01', 'I', 'An approval shows at every door and takes the first answer from any; a late answer is told so'),
  proved(2, 'I2-APR-02', 'I', '`time_to_confirm` alone brings the default; a lost link answers nothing'),
  proved(2, 'I2-APR-03', 'I', 'A pending approval survives kill -9 of Regent and can still be given'),
]

// biome-ignore format: one promise a line
const commandLine: readonly Requirement[] = [
  proved(2, 'I2-CLI-01', 'I', '`regent serve` prints `regent ready http://HOST:PORT` once adopted and open; logs go to stderr'),
  proved(2, 'I2-CLI-02', 'I', '`regent create -f FILE|-` and `regent apply -f`'),
  proved(2, 'I2-CLI-03', 'I', '`regent run NAME … -- COMMAND ARG…` creates and starts a command agent with the caller’s cwd, PATH and HOME'),
  proved(2, 'I2-CLI-04', 'I', '`regent ps|ls` and `show`; `ps --json` has the agreed fields'),
  proved(2, 'I2-CLI-05', 'I', '`start|stop|restart|rm` take names, owner/name, ids, unique prefixes, globs and `all`'),
  proved(2, 'I2-CLI-06', 'I', '`logs -f` follows across rotation and restart'),
  proved(2, 'I2-CLI-07', 'I', '`send AGENT TEXT [--wait]`; `--wait --json` prints the reply message'),
  proved(2, 'I2-CLI-08', 'I', '`chat AGENT` streams, shows tool calls and takes approvals inline'),
  proved(2, 'I2-CLI-09', 'I', '`events -f` follows the journal from a cursor'),
  proved(2, 'I2-CLI-10', 'I', '`approvals`, `approve ID`, `reject ID`; `approvals --json` has the agreed fields'),
  proved(2, 'I2-CLI-11', 'I', '`doctor`, `config`, `completion`, `version`'),
  proved(2, 'I2-CLI-12', 'I', '`-o table|wide|json|yaml|name`; JSON alone on stdout; colour only on a terminal'),
  proved(2, 'I2-CLI-13', 'I', 'Typos get a suggestion, commands the next useful one, long work a progress line; exit codes are the agreed ones'),
]

// biome-ignore format: one promise a line
const judged: readonly Requirement[] = [
  proved(2, 'I2-E2E-01', 'I', 'kill -9 of Regent with three agents, one answering, one waiting: same pids, the answer once, the approval given'),
  proved(2, 'I2-E2E-02', 'I', 'A hundred bad inputs at the API: each a clear 4xx, nothing changed, nothing logged that should not be'),
  proved(2, 'I2-E2E-03', 'I', 'The README’s JSON with the memory backend answers messages and asks for approval before `fetch`'),
  proved(2, 'I2-PERF-01', 'I', '`regent ps` from the shell takes at most 110 ms'),
  proved(2, 'I2-PERF-02', 'I', 'An idle Regent takes at most 110 MiB'),
  proved(2, 'I2-PERF-03', 'I', 'At least 5,000 reads/s and 1,500 durable creates/s at the native API on two shared cores'),
  proved(2, 'I2-PERF-04', 'I', 'From start to RUNNING of a command agent with startsecs=0 at most 15 ms median'),
  proved(2, 'I2-PERF-05', 'I', 'From an approval answered to its tool running at most 20 ms median'),
]

export const foundation: readonly Requirement[] = [...project, ...layers, ...managerApi, ...team, ...commandLine, ...judged]
