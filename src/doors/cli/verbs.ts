import type { Command } from 'commander'
import type { Cli } from './cli.ts'

export interface Verb {
  readonly name: string
  readonly aliases?: readonly string[]
  readonly group: string
  readonly summary: string
  /** Its module, loaded when the verb is used: what the others import must not slow it down. */
  readonly load: () => Promise<VerbModule>
}

export interface VerbModule {
  /** Adds arguments, options and the action to the command that carries name and summary. */
  configure(command: Command, cli: Cli): void | Promise<void>
}

const life = async (): Promise<typeof import('./verbs/life.ts')> => import('./verbs/life.ts')
const answer = async (): Promise<typeof import('./verbs/approvals.ts')> => import('./verbs/approvals.ts')
const signal = async (): Promise<typeof import('./verbs/signal.ts')> => import('./verbs/signal.ts')

const AGENTS = 'Agents:'
const TALK = 'Messages and approvals:'
const WORKERS = 'Workers:'
const SEE = 'Seeing what happens:'
const REGENT = 'Regent itself:'

export const verbs: readonly Verb[] = [
  { name: 'serve', group: REGENT, summary: 'run Regent here until it is told to stop', load: () => import('./verbs/serve.ts') },
  { name: 'create', group: AGENTS, summary: 'create agents from a JSON or YAML file', load: () => import('./verbs/create.ts') },
  { name: 'apply', group: AGENTS, summary: 'create agents, or change them to what a file says', load: () => import('./verbs/apply.ts') },
  {
    name: 'import',
    group: AGENTS,
    summary: 'take over programs of supervisord, pm2 and others',
    load: () => import('./verbs/import.ts'),
  },
  { name: 'run', group: AGENTS, summary: 'keep any program running as an agent', load: () => import('./verbs/run.ts') },
  { name: 'ps', aliases: ['ls', 'list', 'status'], group: AGENTS, summary: 'list agents', load: () => import('./verbs/ps.ts') },
  { name: 'show', aliases: ['describe'], group: AGENTS, summary: 'tell all about an agent', load: () => import('./verbs/show.ts') },
  { name: 'start', group: AGENTS, summary: 'start agents', load: async () => ({ configure: (await life()).configureStart }) },
  {
    name: 'stop',
    group: AGENTS,
    summary: 'stop agents with all they started',
    load: async () => ({ configure: (await life()).configureStop }),
  },
  { name: 'restart', group: AGENTS, summary: 'stop and start agents', load: async () => ({ configure: (await life()).configureRestart }) },
  {
    name: 'rm',
    aliases: ['delete'],
    group: AGENTS,
    summary: 'stop agents and remove them',
    load: async () => ({ configure: (await life()).configureRemove }),
  },
  {
    name: 'signal',
    group: AGENTS,
    summary: 'send a signal to agents',
    load: async () => ({ configure: (await signal()).configureSignal }),
  },
  { name: 'send', group: TALK, summary: 'send a message to an agent', load: () => import('./verbs/send.ts') },
  { name: 'chat', group: TALK, summary: 'talk with an agent', load: () => import('./verbs/chat.ts') },
  {
    name: 'messages',
    aliases: ['history'],
    group: TALK,
    summary: 'read what was said to an agent, and its answers',
    load: () => import('./verbs/messages.ts'),
  },
  {
    name: 'approvals',
    group: TALK,
    summary: 'list tool calls that wait for a yes or a no',
    load: async () => ({ configure: (await answer()).configureList }),
  },
  { name: 'approve', group: TALK, summary: 'let a tool call run', load: async () => ({ configure: (await answer()).configureApprove }) },
  { name: 'reject', group: TALK, summary: 'refuse a tool call', load: async () => ({ configure: (await answer()).configureReject }) },
  {
    name: 'worker',
    group: WORKERS,
    summary: 'give a task to a coding agent, and look after it',
    load: () => import('./verbs/worker.ts'),
  },
  { name: 'workers', group: WORKERS, summary: 'list workers', load: () => import('./verbs/workers.ts') },
  { name: 'wait', group: WORKERS, summary: 'wait until workers have ended', load: () => import('./verbs/wait.ts') },
  { name: 'peek', group: WORKERS, summary: 'show what a worker says and does', load: () => import('./verbs/peek.ts') },
  { name: 'resume', group: WORKERS, summary: 'go on with a worker that has ended', load: () => import('./verbs/resume.ts') },
  { name: 'cancel', group: WORKERS, summary: 'end workers with all they started', load: () => import('./verbs/cancel.ts') },
  { name: 'race', group: WORKERS, summary: 'have several attempts made at one task; the best wins', load: () => import('./verbs/race.ts') },
  { name: 'races', group: WORKERS, summary: 'list, show and cancel races', load: () => import('./verbs/races.ts') },
  { name: 'budget', group: WORKERS, summary: 'what workers have spent, and may spend', load: () => import('./verbs/budget.ts') },
  {
    name: 'top',
    aliases: ['monit', 'stats'],
    group: SEE,
    summary: 'show what agents take, again each second',
    load: () => import('./verbs/top.ts'),
  },
  { name: 'logs', group: SEE, summary: 'show what agents print', load: () => import('./verbs/logs.ts') },
  {
    name: 'clear-logs',
    group: SEE,
    summary: 'forget what agents printed',
    load: async () => ({ configure: (await signal()).configureClearLogs }),
  },
  { name: 'events', group: SEE, summary: 'show what happened', load: () => import('./verbs/events.ts') },
  { name: 'doctor', group: REGENT, summary: 'find out what is missing here', load: () => import('./verbs/doctor.ts') },
  { name: 'config', group: REGENT, summary: 'check and show the configuration', load: () => import('./verbs/config.ts') },
  { name: 'startup', group: REGENT, summary: 'start Regent with the machine', load: () => import('./verbs/startup.ts') },
  { name: 'backup', group: REGENT, summary: 'copy the home to one file, while it is in use', load: () => import('./verbs/backup.ts') },
  { name: 'restore', group: REGENT, summary: 'make a home from a backup', load: () => import('./verbs/restore.ts') },
  { name: 'recover', group: REGENT, summary: 'make a lost database anew from what runs', load: () => import('./verbs/recover.ts') },
  { name: 'migrate', group: REGENT, summary: 'carry a home over to PostgreSQL, or back', load: () => import('./verbs/migrate.ts') },
  { name: 'token', group: REGENT, summary: 'create, list and revoke tokens', load: () => import('./verbs/token.ts') },
  {
    name: 'bus',
    group: REGENT,
    summary: 'brokers: topics, their state, dead letters',
    load: () => import('./verbs/bus.ts'),
  },
  { name: 'completion', group: REGENT, summary: 'print the completion script of a shell', load: () => import('./verbs/completion.ts') },
  { name: 'mcp', group: REGENT, summary: 'serve MCP tools on stdin and stdout', load: () => import('./verbs/mcp.ts') },
  { name: 'docs', group: REGENT, summary: 'where the documentation is', load: () => import('./verbs/docs.ts') },
  { name: 'version', group: REGENT, summary: 'show the versions of the command and the server', load: () => import('./verbs/version.ts') },
]

export const verbOf = (word: string): Verb | undefined => verbs.find(({ name, aliases }) => name === word || aliases?.includes(word))
